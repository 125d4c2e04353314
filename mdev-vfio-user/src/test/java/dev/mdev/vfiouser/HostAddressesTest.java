package dev.mdev.vfiouser;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.hostmm.HostPageTable;

import org.junit.jupiter.api.Test;

/// Addresses are given out, and used again.
class HostAddressesTest {
    private static final long FIRST = 0x10000;

    private final HostAddresses addresses = new HostAddresses(FIRST, FIRST + 8 * 4096);

    private HvaRange reserve(long npages) {
        return addresses.reserve(npages, HostPageTable.Kind.LAZY);
    }

    @Test
    void rangesAreDisjointAndEndWithTheSpace() {
        HvaRange first = reserve(3);
        HvaRange second = reserve(5);

        assertThat(first.overlaps(second)).isFalse();
        assertUsedUp(1);
        assertUsedUp(Long.MAX_VALUE >> 12);
    }

    private void assertUsedUp(long npages) {
        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(() -> reserve(npages))
                .matches(e -> e.errno() == Errno.ENOMEM);
    }

    @Test
    void aReleasedRangeIsUsedAgainAsLateAsPossible() {
        HvaRange first = reserve(2);
        HvaRange second = reserve(2);
        addresses.release(first);

        HvaRange third = reserve(2);
        assertThat(third.startHva()).as("behind the others").isEqualTo(second.endHva());
        HvaRange fourth = reserve(2);
        assertThat(fourth.startHva()).isEqualTo(third.endHva());
        assertThat(reserve(2)).isEqualTo(first);
        assertUsedUp(1);
    }

    @Test
    void aGapThatIsTooSmallIsPassedOver() {
        reserve(1);
        HvaRange gap = reserve(1);
        reserve(1);
        HvaRange rest = reserve(5);
        addresses.release(gap);
        assertUsedUp(2);
        addresses.release(rest);
        assertThat(reserve(4).startHva()).isEqualTo(rest.startHva());
        assertThat(reserve(1).npages()).isEqualTo(1);
    }
}
