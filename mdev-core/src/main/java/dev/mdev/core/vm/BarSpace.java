package dev.mdev.core.vm;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;

import java.util.Map;
import java.util.TreeMap;

/// The guest-physical addresses that the host, playing firmware, gives to BARs: 64-bit BARs above
/// all RAM, 32-bit BARs between the end of RAM and the interrupt controllers of a PC. Changed under
/// the machine's lock.
final class BarSpace {
    private static final long LOW_START_GPA = 2L << 30;
    private static final long LOW_END_GPA = 0xfec0_0000L;
    private static final long LOW_ALIGN_BYTES = 1L << 20;

    private final long lowStartGpa;
    private final MachineAddresses addresses;

    /// Sizes in bytes of the taken ranges, by address.
    private final TreeMap<Long, Long> taken = new TreeMap<>();

    /// @param lowRamBytes RAM, from address 0
    BarSpace(long lowRamBytes, MachineAddresses addresses) {
        this.addresses = addresses;
        lowStartGpa = Math.max(LOW_START_GPA, alignUp(lowRamBytes, LOW_ALIGN_BYTES));
    }

    /// Takes the lowest free range, aligned to its size and to a page.
    ///
    /// @param sizeBytes a power of two
    /// @param wide whether the address may have more than 32 bits
    /// @throws MdevException ENOSPC if there is none
    long take(long sizeBytes, boolean wide) {
        long size = Math.max(sizeBytes, Page.SIZE);
        long start = wide ? addresses.barWindowGpa() : lowStartGpa;
        long end = wide ? addresses.ecamGpa() : LOW_END_GPA;
        long gpa = alignUp(start, size);
        for (Map.Entry<Long, Long> range : taken.tailMap(start).entrySet()) {
            if (gpa + size <= range.getKey()) {
                break;
            }
            gpa = Math.max(gpa, alignUp(range.getKey() + range.getValue(), size));
        }
        if (size > end - start || gpa > end - size) {
            throw new MdevException(
                    Errno.ENOSPC,
                    "no room for a BAR: sizeBytes=0x%x addressBits=%d"
                            .formatted(sizeBytes, wide ? 64 : 32));
        }
        taken.put(gpa, size);
        return gpa;
    }

    /// Takes a given range.
    ///
    /// @throws MdevException EINVAL if [#take] cannot have taken it, EEXIST if a part of it is
    ///   taken
    void takeAt(long gpa, long sizeBytes, boolean wide) {
        long size = Math.max(sizeBytes, Page.SIZE);
        long start = wide ? addresses.barWindowGpa() : lowStartGpa;
        long end = wide ? addresses.ecamGpa() : LOW_END_GPA;
        String what = "a BAR at gpa=0x%x sizeBytes=0x%x".formatted(gpa, sizeBytes);
        if (size > end - start || gpa < start || gpa > end - size || gpa % size != 0) {
            throw new MdevException(Errno.EINVAL, what);
        }
        Map.Entry<Long, Long> below = taken.lowerEntry(gpa + size);
        if (below != null && below.getKey() + below.getValue() > gpa) {
            throw new MdevException(Errno.EEXIST, what);
        }
        taken.put(gpa, size);
    }

    void release(long gpa) {
        taken.remove(gpa);
    }

    private static long alignUp(long gpa, long align) {
        return (gpa + align - 1) & -align;
    }
}
