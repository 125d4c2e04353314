package dev.mdev.core.vm;

import dev.mdev.core.engine.DoorbellPort;
import dev.mdev.core.pci.RegionAccess;
import dev.mdev.core.range.RangeMap;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;

/// The targets of guest accesses without memory. Lookups take no lock.
final class MmioBus {
    /// Replaced as a whole.
    private volatile RangeMap<Window> windows = mapOf(List.of());

    /// A range of guest-physical addresses with a target.
    ///
    /// @param gpa its first address
    /// @param sizeBytes at least 1
    /// @param target the target
    /// @param offsetBytes the target's offset at the first address
    record Window(long gpa, long sizeBytes, Target target, long offsetBytes) {
        long endGpa() {
            return gpa + sizeBytes;
        }

        long offsetOf(long address) {
            return address - gpa + offsetBytes;
        }
    }

    /// Answers accesses to a window.
    interface Target {
        /// @param offsetBytes from the target's start
        /// @param widthBytes 1, 2, 4 or 8
        RegionAccess read(long offsetBytes, int widthBytes);

        RegionAccess write(long offsetBytes, int widthBytes, long value);

        /// Its doorbells; the same objects at each call.
        default List<Doorbell> doorbells() {
            return List.of();
        }
    }

    /// A place of a target where a store rings a doorbell.
    ///
    /// @param offsetBytes from the target's start
    /// @param ring rings, as a [Target#write] there does
    record Doorbell(long offsetBytes, int widthBytes, Runnable ring) {}

    /// Replaces all windows.
    ///
    /// @param next disjoint
    void setWindows(Collection<Window> next) {
        windows = mapOf(next);
    }

    /// All windows, ascending.
    List<Window> windows() {
        return windows.values();
    }

    /// Where the guest finds whole doorbells in windows.
    static List<DoorbellPort> doorbellsIn(List<Window> windows) {
        List<DoorbellPort> ports = new ArrayList<>();
        for (Window window : windows) {
            for (Doorbell doorbell : window.target.doorbells()) {
                long inWindow = doorbell.offsetBytes - window.offsetBytes;
                if (inWindow >= 0 && inWindow <= window.sizeBytes - doorbell.widthBytes) {
                    ports.add(
                            new DoorbellPort(
                                    window.gpa + inWindow, doorbell.widthBytes, doorbell.ring));
                }
            }
        }
        return ports;
    }

    private static RangeMap<Window> mapOf(Collection<Window> windows) {
        return RangeMap.of(windows, Window::gpa, Window::endGpa);
    }

    /// A load of 1 to 8 bytes, split where a window ends, and, if its width is no register width,
    /// into naturally aligned pieces. Pieces without a target read as ones.
    ///
    /// @return the outcome, or null if no piece has a target
    @Nullable RegionAccess read(long gpa, int widthBytes) {
        RangeMap<Window> all = windows;
        long value = 0;
        boolean answered = false;
        int done = 0;
        while (done < widthBytes) {
            long at = gpa + done;
            Window window = all.find(at);
            int rest = bytesIn(all, window, at, widthBytes - done);
            if (window == null) {
                value |= maskOf(rest) << (done * Byte.SIZE);
                done += rest;
                continue;
            }
            answered = true;
            int piece = pieceAt(window.offsetOf(at), rest, widthBytes);
            switch (window.target.read(window.offsetOf(at), piece)) {
                case RegionAccess.Done read ->
                        value |= (read.value() & maskOf(piece)) << (done * Byte.SIZE);
                case RegionAccess.Failed failed -> {
                    return failed;
                }
            }
            done += piece;
        }
        return answered ? new RegionAccess.Done(value) : null;
    }

    /// A store; otherwise as [#read].
    @Nullable RegionAccess write(long gpa, int widthBytes, long value) {
        RangeMap<Window> all = windows;
        boolean answered = false;
        int done = 0;
        while (done < widthBytes) {
            long at = gpa + done;
            Window window = all.find(at);
            int rest = bytesIn(all, window, at, widthBytes - done);
            if (window == null) {
                done += rest;
                continue;
            }
            answered = true;
            int piece = pieceAt(window.offsetOf(at), rest, widthBytes);
            RegionAccess part =
                    window.target.write(
                            window.offsetOf(at),
                            piece,
                            (value >>> (done * Byte.SIZE)) & maskOf(piece));
            if (part instanceof RegionAccess.Failed) {
                return part;
            }
            done += piece;
        }
        return answered ? new RegionAccess.Done(0) : null;
    }

    /// The number of the next `most` bytes that are in the window, or before the next window if
    /// there is none.
    private static int bytesIn(RangeMap<Window> all, @Nullable Window window, long gpa, int most) {
        long rest = (window == null ? all.startAbove(gpa) : window.endGpa()) - gpa;
        // An address may be any 64 bits: from the last ones, the distance to no window wraps.
        return rest <= 0 ? most : (int) Math.min(most, rest);
    }

    /// The width of the next piece: the whole access if it has a register width, otherwise the
    /// largest naturally aligned one.
    private static int pieceAt(long offset, int rest, int whole) {
        if (rest == whole && Integer.bitCount(whole) == 1) {
            return whole;
        }
        long aligned = offset == 0 ? Long.BYTES : Long.lowestOneBit(offset);
        return (int) Math.min(Math.min(aligned, Integer.highestOneBit(rest)), Long.BYTES);
    }

    private static long maskOf(int widthBytes) {
        return widthBytes >= Long.BYTES ? -1L : (1L << (widthBytes * Byte.SIZE)) - 1;
    }
}
