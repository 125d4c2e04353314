package dev.mdev.host.parent;

import dev.mdev.api.MdevException;
import dev.mdev.host.bus.HostDrivers;
import dev.mdev.host.problem.DryRunException;
import dev.mdev.host.web.Filter;
import dev.mdev.host.web.Items;
import dev.mdev.host.web.Paging;

import org.jspecify.annotations.Nullable;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/// `/api/v1/drivers`.
@RestController
@RequestMapping("/api/v1/drivers")
class DriverController {
    private final HostDrivers drivers;

    DriverController(HostDrivers drivers) {
        this.drivers = drivers;
    }

    @GetMapping
    Items<HostDrivers.LoadedDriver> list(
            @RequestParam(required = false) @Nullable String name,
            @RequestParam(required = false) @Nullable Boolean failed,
            @RequestParam(defaultValue = Paging.DEFAULT_LIMIT) int limit,
            @RequestParam(required = false) @Nullable String after) {
        return new Paging(limit, after)
                .inOrder(
                        drivers.drivers().stream()
                                .filter(it -> Filter.fits(name, it.name()))
                                .filter(it -> Filter.fits(failed, !it.trouble().isEmpty()))
                                .toList(),
                        it -> it.source() + " " + it.name());
    }

    /// Loads the jars that came into the plugin folder.
    ///
    /// @throws MdevException ENOENT or EIO if the folder cannot be read; EAGAIN if another request
    ///   loads
    @PostMapping
    Items<HostDrivers.LoadedDriver> load(@RequestParam(defaultValue = "false") boolean dryRun) {
        if (dryRun) {
            throw new DryRunException();
        }
        return Items.all(drivers.load());
    }
}
