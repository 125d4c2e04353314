package dev.mdev.core.vm;

import static dev.mdev.core.vm.PciMachine.assertErrno;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;

import org.junit.jupiter.api.Test;

class BarSpaceTest {
    private static final MachineAddresses USUAL = new MachineAddresses(52);

    @Test
    void wideBarsLieAboveRamAlignedToTheirSize() {
        BarSpace space = new BarSpace(1 << 20, USUAL);

        assertThat(space.take(16, true)).isEqualTo(USUAL.barWindowGpa());
        assertThat(space.take(1 << 20, true)).isEqualTo(USUAL.barWindowGpa() + (1 << 20));
        assertThat(space.take(4096, true)).isEqualTo(USUAL.barWindowGpa() + 4096);
    }

    @Test
    void narrowBarsLieBetweenTheEndOfRamAndTheInterruptControllers() {
        assertThat(new BarSpace(0, USUAL).take(4096, false)).isEqualTo(0x8000_0000L);
        BarSpace full = new BarSpace(0xfea0_0000L, USUAL);
        assertThat(full.take(1 << 20, false)).isEqualTo(0xfea0_0000L);
        assertThat(full.take(1 << 20, false)).isEqualTo(0xfeb0_0000L);
        assertErrno(Errno.ENOSPC, () -> full.take(16, false));
        assertErrno(Errno.ENOSPC, () -> new BarSpace(1L << 32, USUAL).take(16, false));
        full.release(0xfea0_0000L);
        assertThat(full.take(4096, false)).isEqualTo(0xfea0_0000L);
    }

    @Test
    void whatIsTakenInOneWindowDoesNotCountInTheOther() {
        BarSpace space = new BarSpace(0, USUAL);

        long narrow = space.take(1L << 30, false);
        long wide = space.take(1L << 30, true);

        assertThat(narrow).isEqualTo(0x8000_0000L);
        assertThat(wide).isEqualTo(USUAL.barWindowGpa());
        assertThat(space.take(1 << 20, false)).isEqualTo(0xc000_0000L);
    }

    @Test
    void aBarFillsAGapOfExactlyItsSize() {
        BarSpace space = new BarSpace(0, USUAL);
        long first = space.take(4096, false);
        long second = space.take(4096, false);
        long third = space.take(4096, false);
        space.release(second);

        assertThat(space.take(8192, false)).isEqualTo(third + 4096 + 4096);
        assertThat(space.take(4096, false)).isEqualTo(second);
        space.release(first);
        assertThat(space.take(4096, false)).isEqualTo(first);
    }

    @Test
    void aBarThatDoesNotFitAtAllIsRefused() {
        BarSpace space = new BarSpace(0, USUAL);

        assertErrno(Errno.ENOSPC, () -> space.take(1L << 40, true));
        assertErrno(Errno.ENOSPC, () -> space.take(1L << 62, true));
        assertThat(space.take(1L << 39, true)).isEqualTo(USUAL.barWindowGpa());
        assertErrno(Errno.ENOSPC, () -> space.take(1L << 39, true));
    }
}
