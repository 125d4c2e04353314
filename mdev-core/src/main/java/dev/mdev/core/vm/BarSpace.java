package dev.mdev.core.vm;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;

import java.util.Map;
import java.util.TreeMap;

/// The guest-physical addresses that BARs are put at. Changed under the machine's lock.
final class BarSpace {
    private static final long START_GPA = MachineSpec.BAR_WINDOW_GPA;
    private static final long END_GPA = 2 * MachineSpec.BAR_WINDOW_GPA;

    /// Sizes in bytes of what is taken, by address.
    private final TreeMap<Long, Long> taken = new TreeMap<>();

    /// Takes the lowest free range, aligned to its size and to a page.
    ///
    /// @param sizeBytes a power of two
    /// @throws MdevException ENOSPC if there is none
    long take(long sizeBytes) {
        long size = Math.max(sizeBytes, Page.SIZE);
        long gpa = START_GPA;
        for (Map.Entry<Long, Long> range : taken.entrySet()) {
            if (gpa + size <= range.getKey()) {
                break;
            }
            gpa = alignUp(range.getKey() + range.getValue(), size);
        }
        if (size > END_GPA - START_GPA || gpa > END_GPA - size) {
            throw new MdevException(
                    Errno.ENOSPC, "no room for a BAR: sizeBytes=0x%x".formatted(sizeBytes));
        }
        taken.put(gpa, size);
        return gpa;
    }

    void release(long gpa) {
        taken.remove(gpa);
    }

    private static long alignUp(long gpa, long align) {
        return (gpa + align - 1) & -align;
    }
}
