package dev.mdev.core.vm;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.device.RegionAccess;

import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.Comparator;

/// Who answers guest accesses that have no memory behind them. Lookups take no lock.
final class MmioBus {
    /// Sorted, disjoint. Replaced as a whole.
    private volatile Window[] windows = new Window[0];

    /// A range of guest-physical addresses that somebody answers for.
    ///
    /// @param gpa its first address
    /// @param sizeBytes at least 1
    record Window(long gpa, long sizeBytes, Target target) {
        boolean contains(long address) {
            return address >= gpa && address - gpa < sizeBytes;
        }
    }

    /// Answers accesses to a window.
    interface Target {
        /// @param offsetBytes from the window's start
        /// @param widthBytes 1, 2, 4 or 8
        RegionAccess read(long offsetBytes, int widthBytes);

        RegionAccess write(long offsetBytes, int widthBytes, long value);
    }

    /// @throws MdevException EEXIST if it overlaps another
    synchronized void add(Window added) {
        for (Window window : windows) {
            if (window.gpa < added.gpa + added.sizeBytes
                    && added.gpa < window.gpa + window.sizeBytes) {
                throw new MdevException(
                        Errno.EEXIST,
                        "window overlaps another: gpa=0x%x sizeBytes=0x%x"
                                .formatted(added.gpa, added.sizeBytes));
            }
        }
        Window[] copy = Arrays.copyOf(windows, windows.length + 1);
        copy[windows.length] = added;
        Arrays.sort(copy, Comparator.comparingLong(Window::gpa));
        windows = copy;
    }

    synchronized void remove(Window gone) {
        windows =
                Arrays.stream(windows)
                        .filter(window -> !window.equals(gone))
                        .toArray(Window[]::new);
    }

    /// A load of 1 to 8 bytes, cut into naturally aligned pieces where it is not one itself.
    ///
    /// @return the outcome, or null if nobody answers for the address
    @Nullable RegionAccess read(long gpa, int widthBytes) {
        Window window = find(gpa);
        if (window == null) {
            return null;
        }
        long offset = gpa - window.gpa;
        long value = 0;
        int done = 0;
        while (done < widthBytes) {
            int piece = pieceAt(offset + done, widthBytes - done, done == 0 ? widthBytes : 0);
            RegionAccess part = window.target.read(offset + done, piece);
            switch (part) {
                case RegionAccess.Done read -> value |= read.value() << (done * Byte.SIZE);
                case RegionAccess.Failed failed -> {
                    return failed;
                }
            }
            done += piece;
        }
        return new RegionAccess.Done(value);
    }

    /// A store; otherwise as [#read].
    @Nullable RegionAccess write(long gpa, int widthBytes, long value) {
        Window window = find(gpa);
        if (window == null) {
            return null;
        }
        long offset = gpa - window.gpa;
        int done = 0;
        while (done < widthBytes) {
            int piece = pieceAt(offset + done, widthBytes - done, done == 0 ? widthBytes : 0);
            RegionAccess part =
                    window.target.write(
                            offset + done, piece, (value >>> (done * Byte.SIZE)) & maskOf(piece));
            if (part instanceof RegionAccess.Failed) {
                return part;
            }
            done += piece;
        }
        return new RegionAccess.Done(0);
    }

    /// The width of the next piece: all of an access whose width a register can have, else the
    /// largest that is naturally aligned.
    private static int pieceAt(long offset, int rest, int whole) {
        if (Integer.bitCount(whole) == 1) {
            return whole;
        }
        long aligned = offset == 0 ? Long.BYTES : Long.lowestOneBit(offset);
        return (int) Math.min(Math.min(aligned, Integer.highestOneBit(rest)), Long.BYTES);
    }

    private static long maskOf(int widthBytes) {
        return widthBytes >= Long.BYTES ? -1L : (1L << (widthBytes * Byte.SIZE)) - 1;
    }

    private @Nullable Window find(long gpa) {
        Window[] all = windows;
        int low = 0;
        int high = all.length - 1;
        while (low <= high) {
            int middle = (low + high) >>> 1;
            if (all[middle].contains(gpa)) {
                return all[middle];
            }
            if (gpa < all[middle].gpa) {
                high = middle - 1;
            } else {
                low = middle + 1;
            }
        }
        return null;
    }
}
