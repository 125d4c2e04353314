package dev.mdev.core.device;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevEvent;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.engine.ScriptedDriver;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.pci.RegionAccess;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CopyOnWriteArrayList;

/// Failures of a driver where no operator waits for the end of the callback.
class ToldFailuresTest {
    private final RuntimeException bug = new IllegalStateException("a bug");
    private final List<String> told = new CopyOnWriteArrayList<>();
    private final HostMemory memory = new HostMemory(new OffHeapBackend());
    private final ScriptedDriver driver = new ScriptedDriver();
    private final MdevBus bus =
            new MdevBus(
                    memory,
                    Deadlines.HANG,
                    new MdevObserver() {
                        @Override
                        public void event(MdevEvent event) {
                            if (event.fact() instanceof MdevEvent.Reported report) {
                                told.add(report.text());
                            }
                        }
                    });
    private Mdev mdev;
    private MdevAssignment holder;

    @BeforeEach
    void assign() {
        bus.addDriver(driver, Map.of());
        mdev = bus.create(UUID.randomUUID(), ScriptedDriver.PARENT, ScriptedDriver.TYPE);
        holder = mdev.assign("vm1");
    }

    @AfterEach
    void close() {
        driver.onChange = (_, _) -> {};
        holder.close();
        bus.close();
        memory.close();
    }

    private void fails(String callback) {
        driver.onChange =
                (_, now) -> {
                    if (now.equals(callback)) {
                        throw bug;
                    }
                };
    }

    private void requireTold(String... words) {
        assertThat(told)
                .singleElement()
                .asString()
                .contains(mdev.uuid().toString(), "a bug")
                .contains(words);
    }

    @Test
    void aLoadFromARegisterThatFailsIsToldWithItsPlace() {
        driver.devices.getFirst().registerFailure = bug;

        assertThat(holder.read(ScriptedDriver.TRAPPED_BAR, 8, 4))
                .isInstanceOf(RegionAccess.Failed.class);

        requireTold("read", "region=2 offset=0x8 widthBytes=4");
    }

    @Test
    void aStoreToARegisterThatFailsIsToldWithItsPlace() {
        driver.devices.getFirst().registerFailure = bug;

        assertThat(holder.write(ScriptedDriver.TRAPPED_BAR, 16, 8, 1))
                .isInstanceOf(RegionAccess.Failed.class);

        requireTold("write", "region=2 offset=0x10 widthBytes=8");
    }

    /// The guest could have as many as it likes.
    @Test
    void anAccessThatTheDriverRefusesIsNotTold() {
        driver.devices.getFirst().registerFailure = new MdevException(Errno.EACCES, "read only");

        assertThat(holder.write(ScriptedDriver.TRAPPED_BAR, 0, 4, 1))
                .isInstanceOf(RegionAccess.Failed.class);

        assertThat(told).isEmpty();
    }

    @Test
    void aResetOfTheGuestThatFailsIsTold() {
        fails("reset");

        assertThat(holder.reset()).isPresent();

        requireTold("reset");
    }

    @Test
    void aReleaseThatFailsIsTold() {
        fails("released");

        holder.close();

        requireTold("assigned");
    }

    @Test
    void aDeviceThatIsNotResetAfterItsHolderIsTold() {
        fails("reset");

        holder.close();

        requireTold("reset");
    }

    @Test
    void whatADriverDoesAtTheEndOfItsDeviceIsNotTold() {
        driver.devices.getFirst().registerFailure = bug;
        mdev.revokeForGood();

        assertThat(holder.read(ScriptedDriver.TRAPPED_BAR, 8, 4))
                .isInstanceOf(RegionAccess.Failed.class);

        assertThat(told).isEmpty();
    }
}
