package dev.mdev.gpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.capacity.PoolUsage;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.elastic.DeviceMemory;
import dev.mdev.core.elastic.StoreSpace;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.machinestate.MachineStateHeader;
import dev.mdev.core.vm.MachineRestore;
import dev.mdev.core.vm.MachineSave;
import dev.mdev.core.vm.MachineSpec;
import dev.mdev.core.vm.VirtualMachine;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;

/// A machine with elastic VRAM that is saved, and restored beside itself, on a card that has not
/// pages enough for both.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class ElasticRestoreTest {
    private static final String TYPE = "gpu-sample-elastic-16m";

    /// Of VRAM: one page of each unit.
    private static final int STEP_PAGES = 16;

    private final HostMemory memory = new HostMemory(new OffHeapBackend());
    private final MdevBus bus = new MdevBus(memory, Deadlines.HANG, MdevObserver.NONE);
    private final List<VirtualMachine> machines = new ArrayList<>();
    private final VirtualMachine vm = machine("vm");
    private final DeviceMemory vram;

    ElasticRestoreTest() {
        bus.addDriver(
                new GpuParentDriver(),
                Map.of("vram-mib", "16", "types-mib", "1", "elastic-mib", "16"));
        vram = vm.attach(create()).mdev().elastic().getFirst();
    }

    @AfterEach
    void stop() {
        machines.forEach(VirtualMachine::close);
        bus.close();
        memory.close();
    }

    private VirtualMachine machine(String name) {
        VirtualMachine made =
                new VirtualMachine(
                        new MachineSpec(name, 1L << 20, 1),
                        new SoftwareEngine(Deadlines.HANG),
                        memory);
        machines.add(made);
        return made;
    }

    private Mdev create() {
        return bus.create(UUID.randomUUID(), "gpu0", TYPE);
    }

    private static void fill(DeviceMemory share, long value) {
        for (long page = 0; page < share.npages(); page += STEP_PAGES) {
            share.store(Page.addressOf(page), 8, value + page);
        }
    }

    private static void check(DeviceMemory share, long value) {
        for (long page = 0; page < share.npages(); page += STEP_PAGES) {
            assertThat(share.load(Page.addressOf(page), 8)).isEqualTo(value + page);
        }
    }

    private MachineRestore.Restored restore(byte[] state) throws IOException {
        MachineRestore.Host host =
                new MachineRestore.Host() {
                    @Override
                    public VirtualMachine createMachine(MachineStateHeader header) {
                        return machine("restored" + machines.size());
                    }

                    @Override
                    public Mdev createDevice(MachineStateHeader.Device device) {
                        return create();
                    }
                };
        return new MachineRestore(bus, host, new ByteArrayInputStream(state)).run();
    }

    private byte[] saved() throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        var _ = new MachineSave(vm, bus).run(out);
        return out.toByteArray();
    }

    private PoolUsage pool() {
        return bus.parent("gpu0").usage().stream()
                .filter(usage -> usage.pool().equals(vram.pool()))
                .findFirst()
                .orElseThrow();
    }

    private StoreSpace store() {
        return Objects.requireNonNull(bus.parent("gpu0").elastic().get(vram.pool())).store();
    }

    @Test
    void aRestoreThatIsGivenUpLeavesNoPageAndNoRoomOfTheStoreBehind() throws IOException {
        fill(vram, 100);
        byte[] state = saved();
        long reservedBytes = store().reservedBytes();

        for (int missing = 1; missing < 3; missing++) {
            byte[] cut = Arrays.copyOf(state, state.length * (3 - missing) / 3 + 100);
            assertThatThrownBy(() -> restore(cut))
                    .isInstanceOfSatisfying(
                            MdevException.class,
                            e -> assertThat(e.errno()).isEqualTo(Errno.EPROTO));
            assertThat(bus.mdevs()).hasSize(1);
            assertThat(store().reservedBytes()).isEqualTo(reservedBytes);
            assertThat(pool().freePages() + vram.usage().heldPages())
                    .isEqualTo(pool().totalPages());
        }
        check(vram, 100);
    }

    @Test
    void bothMachinesHaveTheirPictureAlthoughTheCardHasNotPagesForBoth() throws IOException {
        fill(vram, 100);
        DeviceMemory its =
                restore(saved()).machine().devices().getFirst().mdev().elastic().getFirst();
        assertThat(2 * vram.npages()).isGreaterThan(pool().totalPages());
        check(its, 100);
        fill(vram, 200);
        check(its, 100);
        check(vram, 200);
    }
}
