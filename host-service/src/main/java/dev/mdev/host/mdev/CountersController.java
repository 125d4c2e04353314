package dev.mdev.host.mdev;

import dev.mdev.host.problem.ProblemException;

import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;

import java.util.SortedMap;
import java.util.UUID;

/// `/api/v1/mdevs/{uuid}/counters`: a driver's counters of a device.
@RestController
@RequestMapping("/api/v1/mdevs")
class CountersController {
    private final MdevService mdevs;

    CountersController(MdevService mdevs) {
        this.mdevs = mdevs;
    }

    /// @param counters by name; names end in their unit
    record CountersView(UUID uuid, SortedMap<String, Long> counters) {}

    /// @throws ProblemException if the driver failed
    @GetMapping("/{uuid}/counters")
    CountersView counters(@PathVariable UUID uuid) {
        return new CountersView(uuid, mdevs.get(uuid).counters());
    }
}
