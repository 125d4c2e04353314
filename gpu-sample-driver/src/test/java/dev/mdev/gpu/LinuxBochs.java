package dev.mdev.gpu;

import dev.mdev.api.RegionInfo;
import dev.mdev.testkit.InMemoryMdev;

import java.util.ArrayList;
import java.util.List;

/// The register accesses of Linux's `bochs` driver (`drivers/gpu/drm/tiny/bochs.c`; before 5.17 in
/// `drivers/gpu/drm/bochs/bochs_hw.c`): the same ones, in the same order and of the same widths, on
/// a little-endian guest. Methods are named after the driver's.
final class LinuxBochs {
    private static final int VGA_MIS_W = 0x3C2;
    private static final int VGA_IS1_RC = 0x3DA;
    private static final int VGA_ATT_W = 0x3C0;
    private static final int EDID_LENGTH = 128;

    private final InMemoryMdev mdev;
    private final long pciSize;
    private final List<String> log = new ArrayList<>();
    private long fbSize;
    private long qextSize;
    private int stride;

    LinuxBochs(InMemoryMdev mdev) {
        this.mdev = mdev;
        this.pciSize = regionSize(0);
    }

    private long regionSize(int index) {
        return mdev.regions().stream()
                .filter(region -> region.index() == index)
                .mapToLong(RegionInfo::sizeBytes)
                .findFirst()
                .orElse(0);
    }

    /// What the driver writes to the kernel's log.
    List<String> log() {
        return log;
    }

    long fbSize() {
        return fbSize;
    }

    /// @return whether the driver binds
    boolean probe() {
        if (pciSize < 4 << 20) {
            log.add("less than 4 MB video memory, ignoring device");
            return false;
        }
        return hwInit();
    }

    private boolean hwInit() {
        int id = dispiRead(0x0);
        long mem = dispiRead(0xA) * 64L * 1024;
        if ((id & 0xFFF0) != 0xB0C0) {
            log.add("ID mismatch");
            return false;
        }
        fbSize = pciSize;
        if (pciSize != mem) {
            log.add("Size mismatch: pci=%d, bochs=%d".formatted(pciSize, mem));
            fbSize = Math.min(pciSize, mem);
        }
        log.add("Found bochs VGA, ID 0x%x.".formatted(id));
        if (mdev.identity().revision() >= 2) {
            qextSize = read(0x600, 4);
            if (qextSize < 4 || qextSize > regionSize(2)) {
                qextSize = 0;
            } else {
                setLittleEndian();
            }
        }
        return true;
    }

    /// The first block.
    ///
    /// @throws AssertionError if its header is not one of an EDID
    byte[] readEdid() {
        byte[] header = edidBlock(0, 8);
        for (int i = 0; i < 8; i++) {
            if ((header[i] & 0xFF) != (i == 0 || i == 7 ? 0x00 : 0xFF)) {
                throw new AssertionError("no EDID");
            }
        }
        return edidBlock(0, EDID_LENGTH);
    }

    private byte[] edidBlock(int block, int length) {
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++) {
            bytes[i] = (byte) read(block * EDID_LENGTH + i, 1);
        }
        return bytes;
    }

    void pipeEnable(int width, int height, long address) {
        setMode(width, height);
        planeUpdate(4 * width, address);
    }

    private void setMode(int width, int height) {
        stride = 4 * width;
        hwBlank(false);
        dispiWrite(0x4, 0);
        dispiWrite(0x3, 32);
        dispiWrite(0x1, width);
        dispiWrite(0x2, height);
        dispiWrite(0x5, 0);
        dispiWrite(0x6, width);
        dispiWrite(0x7, (int) (fbSize / stride));
        dispiWrite(0x8, 0);
        dispiWrite(0x9, 0);
        dispiWrite(0x4, 0x01 | 0x40);
    }

    /// Shows the picture that starts at `address`.
    void planeUpdate(int pitch, long address) {
        stride = pitch;
        dispiWrite(0x6, stride / 4);
        dispiWrite(0x8, (int) (address % stride) / 4);
        dispiWrite(0x9, (int) (address / stride));
        setLittleEndian();
    }

    void pipeDisable() {
        hwBlank(true);
    }

    private void hwBlank(boolean blank) {
        write(VGA_MIS_W - 0x3C0 + 0x400, 1, 0x01);
        read(VGA_IS1_RC - 0x3C0 + 0x400, 1);
        write(VGA_ATT_W - 0x3C0 + 0x400, 1, blank ? 0 : 0x20);
    }

    private void setLittleEndian() {
        if (qextSize >= 8) {
            write(0x604, 4, 0x1E1E_1E1EL);
        }
    }

    private int dispiRead(int register) {
        return (int) read(0x500 + (register << 1), 2);
    }

    private void dispiWrite(int register, int value) {
        write(0x500 + (register << 1), 2, value);
    }

    private long read(int offset, int width) {
        return mdev.guest().load(2, offset, width);
    }

    private void write(int offset, int width, long value) {
        mdev.guest().store(2, offset, width, value);
    }
}
