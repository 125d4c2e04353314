package dev.mdev.core.device;

import dev.mdev.api.MdevDevice;
import dev.mdev.api.Refusal;
import dev.mdev.core.driver.HostsWork;
import dev.mdev.core.mapping.RegionReverseMap;

import java.util.Optional;
import java.util.function.Consumer;

/// Callbacks that change the meaning of a device's grants: they run in the device's turn, while the
/// device stands still and nothing is mapped. No earlier grant survives them.
///
/// Only inside the turn is no fault answered. An earlier grant is either installed, and removed
/// here; or it is not yet installed, and its fault finds the page zapped and asks again. A driver
/// that accesses a region of its own as guest memory may map pages on this thread meanwhile; they
/// are removed at the end.
final class UnmappedCalls {
    private final DriverObject driver;
    private final RegionReverseMap mappings;

    /// Sets the device's pages to zero, if the host is to do that.
    private volatile Runnable clearing = () -> {};

    UnmappedCalls(DriverObject driver, RegionReverseMap mappings) {
        this.driver = driver;
        this.mappings = mappings;
    }

    /// @return why it failed, if it did; ETIMEDOUT if a step of the device does not end
    Optional<Refusal> run(String callback, Consumer<MdevDevice> change) {
        return driver.runStill(callback, made -> around(() -> change.accept(made)));
    }

    /// Lets the host clear the device's pages before each reset.
    void clearBeforeReset(Runnable work) {
        clearing = work;
    }

    /// Resets the device.
    ///
    /// @param check throws if the device is not to be reset after all
    /// @param done what is to happen in the same turn, after the reset
    Optional<Refusal> reset(Runnable check, Runnable done) {
        return driver.runStill(
                "reset",
                new HostsWork("host clears pages", () -> clear(check)),
                made -> {
                    around(made::reset);
                    done.run();
                });
    }

    private void clear(Runnable check) {
        check.run();
        driver.requireAlive();
        mappings.zapAll();
        driver.doorbells().forget();
        clearing.run();
    }

    private void around(Runnable change) {
        mappings.zapAll();
        try {
            change.run();
        } finally {
            mappings.zapAll();
        }
    }

    /// Removes every mapping for good.
    void clear() {
        mappings.clear();
    }
}
