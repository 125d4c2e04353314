package dev.mdev.host.machine;

import dev.mdev.api.MdevException;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.machinestate.MachineStateHeader;
import dev.mdev.core.machinestate.SaveReport;
import dev.mdev.core.vm.MachineRestore;
import dev.mdev.core.vm.MachineSave;
import dev.mdev.core.vm.MachineSpec;
import dev.mdev.core.vm.VirtualMachine;
import dev.mdev.host.mdev.MdevService;
import dev.mdev.host.problem.StreamProblems;
import dev.mdev.host.web.TransferLimit;

import org.jspecify.annotations.Nullable;
import org.springframework.stereotype.Service;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.UUID;

/// Saves machines while they run, and makes machines out of saved states.
@Service
class MachineStateService {
    private final MachineService machines;
    private final MdevService mdevs;
    private final MdevBus bus;
    private final TransferLimit limit;

    MachineStateService(
            MachineService machines, MdevService mdevs, MdevBus bus, TransferLimit limit) {
        this.machines = machines;
        this.mdevs = mdevs;
        this.bus = bus;
        this.limit = limit;
    }

    /// Writes a machine's state. The machine continues, whatever happens.
    ///
    /// @throws MdevException as [MachineSave#run]
    /// @throws dev.mdev.host.problem.TransferTooLongException if the client does not take it in
    ///   time
    void save(String name, OutputStream out) throws IOException {
        VirtualMachine machine = machines.get(name);
        SaveReport report = new MachineSave(machine, bus).run(limit.limited(out));
        machines.saved(machine, report);
    }

    /// What the client wants of the devices.
    ///
    /// @param newUuids whether they get new uuids
    /// @param parent where they are made; null for any parent
    record Wanted(boolean newUuids, @Nullable String parent) {}

    /// Makes a machine out of a state. If that fails, neither the machine nor a device is left.
    ///
    /// @throws MdevException EEXIST if the name, or the uuid of a device, is in use; EUSERS if the
    ///   machine or a device does not fit; otherwise as [MachineRestore#run]
    /// @throws dev.mdev.host.problem.ProblemException if the stream is malformed, or ends early
    /// @throws dev.mdev.host.problem.TransferTooLongException if it does not arrive in time
    MachineRestore.Restored restore(String name, Wanted wanted, InputStream in) throws IOException {
        try (Making making = new Making(name, wanted)) {
            MachineRestore restore = new MachineRestore(bus, making, limit.limited(in));
            MachineRestore.Restored restored = StreamProblems.read(restore::run);
            making.complete(restored);
            return restored;
        }
    }

    /// Refuses what [#restore] would refuse now whatever the state is.
    void check(String name) {
        machines.requireFree(name);
    }

    /// A machine that only its restore knows yet.
    private final class Making implements MachineRestore.Host, AutoCloseable {
        private final String name;
        private final Wanted wanted;
        private MachineService.@Nullable Reserved reserved;

        Making(String name, Wanted wanted) {
            this.name = name;
            this.wanted = wanted;
        }

        @Override
        public VirtualMachine createMachine(MachineStateHeader header) {
            MachineService.Reserved mine =
                    machines.reserve(
                            new MachineSpec(name, header.ramBytes(), header.vcpus(), header.smm()));
            reserved = mine;
            return mine.make();
        }

        @Override
        public Mdev createDevice(MachineStateHeader.Device device) {
            return mdevs.createForState(
                    wanted.newUuids() ? UUID.randomUUID() : device.uuid(),
                    device.driver(),
                    device.type(),
                    wanted.parent());
        }

        void complete(MachineRestore.Restored restored) {
            MachineService.Reserved mine = reserved;
            if (mine != null) {
                mine.complete();
                machines.restored(restored);
            }
        }

        @Override
        public void close() {
            MachineService.Reserved mine = reserved;
            if (mine != null) {
                mine.close();
            }
        }
    }
}
