package dev.mdev.core.bus;

import static dev.mdev.core.bus.BusWorld.assertFails;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.device.Mdev;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.time.Duration;
import java.util.UUID;

/// What a driver hears of the holder of its device, and what a next holder finds.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
public class HolderTest {
    private static final UUID ONE = new UUID(1, 1);
    private static final String TYPE = "t4";

    private final Card card = card("gpu0");
    private final Card other = card("gpu1");
    private final BusWorld world = new BusWorld(card, other).plug();

    private static Card card(String name) {
        return new Card(name, 16, false).with(TYPE, 4, 1, true).with("t16", 16, 1, true);
    }

    @AfterEach
    void end() {
        world.check();
        world.close();
    }

    @Test
    void aDriverHearsOfItsHolderBeforeTheFirstAccessAndBeforeTheReset() {
        Mdev mdev = world.bus.create(ONE, "gpu0", TYPE);
        world.driver.onAssigned = held -> world.driver.calls.add("assigned " + held);
        world.driver.calls.clear();

        mdev.assign("vm").close();

        assertThat(world.driver.calls)
                .containsExactly("assigned true", "assigned false", "reset " + ONE);
    }

    @Test
    void aHolderThatTheDriverDoesNotTakeDoesNotGetTheDevice() {
        Mdev mdev = world.bus.create(ONE, "gpu0", TYPE);
        world.driver.onAssigned =
                held -> {
                    throw new MdevException(Errno.EMFILE, "no thread is left");
                };

        assertFails(() -> mdev.assign("vm"), Errno.EMFILE);

        assertThat(mdev.holder()).isEmpty();
        world.driver.onAssigned = held -> {};
        mdev.assign("vm").close();
    }

    /// Whatever the driver says to the end of a holder, the next one finds a device that was reset.
    @Test
    void aDriverThatFailsWhenItsHolderGoesIsResetAllTheSame() {
        Mdev mdev = world.bus.create(ONE, "gpu0", TYPE);
        world.driver.onAssigned =
                held -> {
                    if (!held) {
                        throw new IllegalStateException("still busy");
                    }
                };

        mdev.assign("one").close();

        assertThat(world.driver.device(ONE).resets).hasValue(1);
        mdev.assign("two").close();
    }

    @Test
    void aDeviceThatIsTakenAwayHearsOnlyOfItsEnd() {
        Mdev mdev = world.bus.create(ONE, "gpu0", TYPE);
        world.driver.onAssigned = held -> world.driver.calls.add("assigned " + held);
        var assignment = mdev.assign("vm");
        world.driver.calls.clear();

        world.bus.remove(ONE, Removal.forcing(Duration.ZERO));
        assignment.close();

        assertThat(world.driver.calls).containsExactly("close " + ONE);
    }

    @Test
    void aDriverThatLetsTheHostClearFindsZeroesAtItsReset() {
        world.driver.clearedByHost = true;
        Mdev mdev = world.bus.create(ONE, "gpu0", TYPE);
        assertThat(world.driver.device(ONE).hasItsMarks()).isTrue();
        world.driver.onReset = device -> world.driver.calls.add("zero " + card.vram.isZero(0, 16));
        world.driver.calls.clear();

        mdev.assign("vm").close();

        assertThat(world.driver.calls).containsExactly("zero true", "reset " + ONE);
    }

    @Test
    void aDeviceWhosePagesCannotBeClearedGoesToNoOtherHolder() {
        world.driver.clearedByHost = true;
        Mdev mdev = world.bus.create(ONE, "gpu0", TYPE);
        card.vram.stick(1);

        mdev.assign("one").close();

        assertThat(world.driver.device(ONE).resets).hasValue(0);
        assertFails(() -> mdev.assign("two"), Errno.EIO);
        card.vram.heal();
        mdev.reset();
        mdev.assign("two").close();
    }
}
