package dev.mdev.host.machine;

import dev.mdev.api.MdevException;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.device.Mdev;
import dev.mdev.host.event.Event;
import dev.mdev.host.event.EventLog;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.context.SmartLifecycle;
import org.springframework.stereotype.Component;

import java.util.Optional;
import java.util.UUID;

/// Gives the machines of other programs their devices back when the service starts: those that are
/// active, at the same sockets. It does so after the drivers have found their parents, and before
/// the first request.
@Component
final class MachineReturn implements SmartLifecycle {
    private static final Logger log = LoggerFactory.getLogger(MachineReturn.class);

    private final MachineRecords records;
    private final MachineService machines;
    private final MdevBus bus;
    private final EventLog events;
    private volatile boolean running;

    MachineReturn(MachineRecords records, MachineService machines, MdevBus bus, EventLog events) {
        this.records = records;
        this.machines = machines;
        this.bus = bus;
        this.events = events;
    }

    @Override
    public void start() {
        running = true;
        for (MachineRecords.Recorded recorded : records.all()) {
            forgetEnded(recorded);
            recorded.mdevs().forEach(mdev -> comeBack(recorded.name(), mdev));
        }
    }

    /// A device that is neither active nor defined does not come back: it was transient.
    private void forgetEnded(MachineRecords.Recorded recorded) {
        try {
            records.detached(recorded.name(), mdev -> bus.status(mdev).isEmpty());
        } catch (MdevException e) {
            log.warn("machine={} is written down with what it had: {}", recorded.name(), e);
        }
    }

    private void comeBack(String machine, UUID uuid) {
        Optional<Mdev> mdev = bus.find(uuid);
        if (mdev.isEmpty()) {
            return;
        }
        try {
            var _ = machines.attachExternal(machine, mdev.get());
        } catch (MdevException e) {
            log.error("mdev={} does not come back to machine={}: {}", uuid, machine, e.toString());
            events.add(
                    Event.Kind.MDEV_DETACHED,
                    "mdevs/" + uuid,
                    "machine=%s does not get it back: %s".formatted(machine, e.getMessage()));
        }
    }

    @Override
    public void stop() {
        running = false;
    }

    @Override
    public boolean isRunning() {
        return running;
    }

    /// Before the web server.
    @Override
    public int getPhase() {
        return 0;
    }
}
