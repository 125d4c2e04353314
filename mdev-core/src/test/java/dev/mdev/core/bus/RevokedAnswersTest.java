package dev.mdev.core.bus;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Access;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.engine.GuestEngine;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.hostmm.FaultResult;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.SlotConfig;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.time.Duration;
import java.util.UUID;

/// A driver that revokes each of its own answers before the host can install it.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class RevokedAnswersTest {
    private static final UUID ONE = new UUID(12, 1);
    private static final long PAGES = 16;

    private final BusWorld world =
            new BusWorld(new Card("gpu0", 64, false).with("t16", PAGES, 1, true)).plug();

    @AfterEach
    void close() {
        world.close();
    }

    @Test
    void theDriverIsNamedWithThePage() {
        GuestEngine hasty =
                new SoftwareEngine(Duration.ofMillis(100))
                        .createGuest(new AddressSpaces(SlotConfig.withoutSmm()), world.memory());
        Mdev mdev = world.bus.create(ONE, "gpu0", "t16");
        MdevAssignment assignment = mdev.assign("vm");
        RegionInfo bar = mdev.region(CardDriver.BAR);
        Vma vma = assignment.map(hasty.hostMm(), bar, bar.areas().getFirst());
        world.driver.onAsked =
                () -> world.driver.device(ONE).context.revoke(CardDriver.BAR, 0, PAGES);

        FaultResult result =
                hasty.hostMm().handleFault(vma.range().startHva() + 3 * 4096, Access.WRITE);

        assertThat(result.toString())
                .contains("EAGAIN")
                .contains("mdev=" + ONE)
                .contains("revoked each of its")
                .contains("page=0x3");
        assertThat(mdev.recentFaults().getFirst().answer()).contains("revoked each of its");
        assertThat(mdev.residentPages()).isZero();
        assignment.close();
        hasty.close();
    }
}
