package dev.mdev.core.pci;

import dev.mdev.api.MsixPlacement;
import dev.mdev.api.layout.BarLayout;

/// The part of a BAR with the MSI-X table and its pending bits. An access may begin or end outside
/// of them; it is then done byte by byte.
final class MsixRegion {
    private final MsixPlacement place;
    private final MsixTable table;
    private final long tableEnd;
    private final long pbaEnd;

    MsixRegion(MsixPlacement place, MsixTable table) {
        this.place = place;
        this.table = table;
        this.tableEnd = place.tableOffsetBytes() + BarLayout.msixTableBytes(table.count());
        this.pbaEnd = place.pbaOffsetBytes() + BarLayout.msixPendingBytes(table.count());
    }

    /// Reads the bytes around the table.
    @FunctionalInterface
    interface Reader {
        RegionAccess read(int region, long offsetBytes, int widthBytes);
    }

    /// Writes the bytes around the table.
    @FunctionalInterface
    interface Writer {
        RegionAccess write(int region, long offsetBytes, int widthBytes, long value);
    }

    boolean touches(int region, long offsetBytes, int widthBytes) {
        long end = offsetBytes + widthBytes;
        return region == place.bar()
                && ((offsetBytes < tableEnd && place.tableOffsetBytes() < end)
                        || (offsetBytes < pbaEnd && place.pbaOffsetBytes() < end));
    }

    RegionAccess read(long offsetBytes, int widthBytes, Reader around) {
        if (isInTable(offsetBytes, widthBytes)) {
            int offset = (int) (offsetBytes - place.tableOffsetBytes());
            return new RegionAccess.Done(table.readTable(offset, widthBytes));
        }
        if (isInPending(offsetBytes, widthBytes)) {
            int offset = (int) (offsetBytes - place.pbaOffsetBytes());
            return new RegionAccess.Done(table.readPending(offset, widthBytes));
        }
        if (widthBytes == 1) {
            return around.read(place.bar(), offsetBytes, 1);
        }
        long value = 0;
        for (int i = 0; i < widthBytes; i++) {
            switch (read(offsetBytes + i, 1, around)) {
                case RegionAccess.Done part -> value |= part.value() << (i * Byte.SIZE);
                case RegionAccess.Failed failed -> {
                    return failed;
                }
            }
        }
        return new RegionAccess.Done(value);
    }

    RegionAccess write(long offsetBytes, int widthBytes, long value, Writer around) {
        if (isInTable(offsetBytes, widthBytes)) {
            table.writeTable((int) (offsetBytes - place.tableOffsetBytes()), widthBytes, value);
            return new RegionAccess.Done(0);
        }
        if (isInPending(offsetBytes, widthBytes)) {
            // Software should never write here, and a write has no effect.
            return new RegionAccess.Done(0);
        }
        if (widthBytes == 1) {
            return around.write(place.bar(), offsetBytes, 1, value);
        }
        for (int i = 0; i < widthBytes; i++) {
            long part = value >>> (i * Byte.SIZE) & 0xff;
            RegionAccess done = write(offsetBytes + i, 1, part, around);
            if (done instanceof RegionAccess.Failed) {
                return done;
            }
        }
        return new RegionAccess.Done(0);
    }

    private boolean isInTable(long offsetBytes, int widthBytes) {
        return offsetBytes >= place.tableOffsetBytes() && offsetBytes + widthBytes <= tableEnd;
    }

    private boolean isInPending(long offsetBytes, int widthBytes) {
        return offsetBytes >= place.pbaOffsetBytes() && offsetBytes + widthBytes <= pbaEnd;
    }
}
