package dev.mdev.gpu;

import dev.mdev.api.Display;
import dev.mdev.api.Edid;
import dev.mdev.api.register.RegisterBlock;
import dev.mdev.api.register.RegisterFile;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.Optional;

/// The display, which an author of a driver may skip: a GPU that only computes has none of it. All
/// that makes a picture is behind this class, all but legacy VGA memory ([VgaWindow]), and the
/// device only passes BAR 2 on to it.
///
/// BAR 2 is one page of registers: those of QEMU's standard VGA (`docs/specs/standard-vga.rst`
/// there), so that the drivers of guests know what to do, and a few of this device's own.
///
/// | offset | what |
/// |---|---|
/// | 0x000 | [Edid] |
/// | 0x400 | [VgaPorts] |
/// | 0x500 | [Dispi] |
/// | 0x600 | size of this group, 8; then the byte order of pixels: `0x1e1e1e1e` little, `0xbebebebe` big endian |
/// | 0x800 | ID, reads as `0x5047444d`, "MDGP" |
/// | 0x804 | version, reads as 1 |
/// | 0x808 | 32 bits that the device keeps and gives no meaning |
/// | 0x810 | size of VRAM in bytes, 64 bits |
///
/// All other offsets read as zero and ignore stores. The host calls one method at a time, so
/// nothing here is locked.
final class GpuDisplay implements RegisterBlock, Display {
    static final int EDID = 0x000;
    static final int VGA = 0x400;
    static final int DISPI = 0x500;
    static final int EXTENSION_SIZE = 0x600;
    static final int BYTE_ORDER = 0x604;
    static final int ID = 0x800;
    static final int VERSION = 0x804;
    static final int SCRATCH = 0x808;
    static final int VRAM_BYTES = 0x810;

    static final int ID_VALUE = 0x5047_444D;
    static final long LITTLE_ENDIAN = 0x1E1E_1E1EL;
    static final long BIG_ENDIAN = 0xBEBE_BEBEL;

    private final Vram vram;
    private final byte[] edid = Edid.block();
    private final VgaPorts vga = new VgaPorts();
    private final Dispi dispi;
    private final RegisterFile own;

    GpuDisplay(Vram vram) {
        this.vram = vram;
        this.dispi = new Dispi(vram);
        this.own =
                new RegisterFile()
                        .constant(EXTENSION_SIZE, Integer.BYTES, 8)
                        .readOnly(BYTE_ORDER, Integer.BYTES, LITTLE_ENDIAN)
                        .constant(ID, Integer.BYTES, ID_VALUE)
                        .constant(VERSION, Integer.BYTES, 1)
                        .plain(SCRATCH, Integer.BYTES, -1)
                        .constant(VRAM_BYTES, Long.BYTES, vram.sizeBytes());
    }

    @Override
    public Optional<Picture> picture() {
        if (!vga.isScreenOn()) {
            return Optional.empty();
        }
        boolean bigEndian = own.get(BYTE_ORDER) == BIG_ENDIAN;
        ScanOut.Format format = new ScanOut.Format(vga, bigEndian, dispi.hasWideDac());
        return dispi.mode().flatMap(mode -> ScanOut.picture(mode, format, vram));
    }

    void reset() {
        vga.reset();
        dispi.reset();
        own.reset();
    }

    @Override
    public int widthAt(int offset) {
        if (offset < DISPI) {
            return 1;
        }
        return offset < DISPI + Dispi.SIZE ? Short.BYTES : own.widthAt(offset);
    }

    @Override
    public long load(int offset) {
        if (offset < EDID + Edid.SIZE) {
            return edid[offset] & 0xFF;
        }
        if (offset >= VGA && offset < VGA + VgaPorts.SIZE) {
            return vga.load(offset - VGA);
        }
        if (offset >= DISPI && offset < DISPI + Dispi.SIZE) {
            return dispi.load(offset - DISPI);
        }
        return own.load(offset);
    }

    @Override
    public void store(int offset, long value, long mask) {
        if (offset >= VGA && offset < VGA + VgaPorts.SIZE) {
            vga.store(offset - VGA, value, mask);
        } else if (offset >= DISPI && offset < DISPI + Dispi.SIZE) {
            dispi.store(offset - DISPI, value, mask);
        } else if (offset == BYTE_ORDER) {
            long order = RegisterBlock.merge(own.get(BYTE_ORDER), value, mask);
            if (order == BIG_ENDIAN || order == LITTLE_ENDIAN) {
                own.set(BYTE_ORDER, order);
            }
        } else {
            own.store(offset, value, mask);
        }
    }

    void save(DataOutput out) throws IOException {
        vga.save(out);
        dispi.save(out);
        own.save(out);
    }

    void restore(DataInput in) throws IOException {
        vga.restore(in);
        dispi.restore(in);
        own.restore(in);
    }
}
