package dev.mdev.host.mdev;

import dev.mdev.api.MdevException;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.StreamProblems;
import dev.mdev.host.problem.TransferTooLongException;
import dev.mdev.host.web.TransferLimit;

import org.springframework.stereotype.Service;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.UUID;

/// Saves and restores devices.
@Service
class StateService {
    private final MdevBus bus;
    private final MdevService mdevs;
    private final TransferLimit limit;

    StateService(MdevBus bus, MdevService mdevs, TransferLimit limit) {
        this.bus = bus;
        this.mdevs = mdevs;
        this.limit = limit;
    }

    /// Writes a device's state.
    ///
    /// @throws MdevException EBUSY if its machine executes a program, EOPNOTSUPP if its driver
    ///   saves no devices
    /// @throws TransferTooLongException if the client does not take it in time; the device
    ///   continues
    void save(UUID uuid, OutputStream out) throws IOException {
        var _ = mdevs.get(uuid);
        bus.save(uuid, limit.limited(out));
    }

    /// Refuses what [#restore] would refuse now whatever the state is.
    void check(UUID uuid) {
        bus.requireSavable(mdevs.get(uuid));
    }

    /// Restores a state into a device. After a partial restore, the device is reset.
    ///
    /// @throws MdevException EBUSY if its machine executes a program, EINVAL if the state does not
    ///   match the device, EFBIG if the driver's part of it is too large, EOPNOTSUPP if its driver
    ///   restores no devices
    /// @throws ProblemException if the stream is malformed, or ends early; if the driver refuses
    ///   its part of it
    /// @throws TransferTooLongException if it does not arrive in time
    void restore(UUID uuid, InputStream in) throws IOException {
        var _ = mdevs.get(uuid);
        StreamProblems.read(() -> {
            bus.restore(uuid, limit.limited(in));
            return uuid;
        });
    }
}
