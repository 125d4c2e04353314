package dev.mdev.host.mdev;

import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Violation;

import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

import java.util.List;
import java.util.UUID;

/// `/api/v1/mdevs/{uuid}/residency`: which pages of a device are mapped.
@RestController
@RequestMapping("/api/v1/mdevs")
class ResidencyController {
    private static final int MAX_CELLS = 4096;

    private final MdevService mdevs;

    ResidencyController(MdevService mdevs) {
        this.mdevs = mdevs;
    }

    /// Asks no driver, and maps nothing.
    ///
    /// @param cells the most cells of a region
    @GetMapping("/{uuid}/residency")
    ResidencyView residency(
            @PathVariable UUID uuid, @RequestParam(defaultValue = "256") int cells) {
        if (cells < 1 || cells > MAX_CELLS) {
            throw ProblemException.invalid(
                    List.of(new Violation("", "cells is 1 to " + MAX_CELLS)));
        }
        return ResidencyView.of(mdevs.get(uuid), cells);
    }
}
