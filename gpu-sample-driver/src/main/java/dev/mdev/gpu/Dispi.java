package dev.mdev.gpu;

import dev.mdev.api.register.RegisterBlock;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.Arrays;
import java.util.Optional;

/// The registers of the Bochs display interface ("VBE DISPI"), which set the mode, as QEMU's
/// standard VGA has them and Linux's `bochs` driver uses them.
///
/// When the display is on, invalid values become the nearest valid ones, because errors cannot be
/// reported to a guest. Widths are not rounded to multiples of 8, as in QEMU's `bochs-display` and
/// unlike its `VGA`: a guest in 1366x768 would see a staircase.
final class Dispi implements RegisterBlock {
    static final int ID = 0;
    static final int XRES = 1;
    static final int YRES = 2;
    static final int BPP = 3;
    static final int ENABLE = 4;
    static final int BANK = 5;
    static final int VIRT_WIDTH = 6;
    static final int VIRT_HEIGHT = 7;
    static final int X_OFFSET = 8;
    static final int Y_OFFSET = 9;
    static final int VIDEO_MEMORY_64K = 10;

    /// Bytes that the registers take, 16 bits each.
    static final int SIZE = 22;

    static final int ENABLED = 0x01;
    static final int GET_CAPS = 0x02;
    static final int DAC_8BIT = 0x20;
    static final int NO_CLEAR = 0x80;

    private static final int ID_0 = 0xB0C0;
    private static final int ID_5 = 0xB0C5;
    private static final int MAX_XRES = 16000;
    private static final int MAX_YRES = 12000;
    private static final int[] LIMITS = {MAX_XRES, MAX_YRES, 32};

    private final Vram vram;
    private final int[] registers = new int[VIDEO_MEMORY_64K];

    Dispi(Vram vram) {
        this.vram = vram;
        reset();
    }

    /// The geometry of the picture.
    ///
    /// @param lineBytes from one line's start to the next's
    /// @param startBytes offset in VRAM of the first pixel
    record Mode(int width, int height, int bitsPerPixel, long lineBytes, long startBytes) {}

    /// The current picture; nothing while the display is off.
    Optional<Mode> mode() {
        if (!isOn()) {
            return Optional.empty();
        }
        int bits = storageBits();
        long line = lineBytes();
        long start = registers[X_OFFSET] * (long) bits / 8 + registers[Y_OFFSET] * line;
        return Optional.of(new Mode(registers[XRES], registers[YRES], registers[BPP], line, start));
    }

    boolean hasWideDac() {
        return (registers[ENABLE] & DAC_8BIT) != 0;
    }

    void reset() {
        Arrays.fill(registers, 0);
        registers[ID] = ID_5;
    }

    @Override
    public int widthAt(int offset) {
        return Short.BYTES;
    }

    @Override
    public long load(int offset) {
        int index = offset / Short.BYTES;
        if (index == VIDEO_MEMORY_64K) {
            return vram.sizeBytes() >>> 16;
        }
        boolean isLimit = (registers[ENABLE] & GET_CAPS) != 0 && index >= XRES && index <= BPP;
        return isLimit ? LIMITS[index - XRES] : registers[index];
    }

    @Override
    public void store(int offset, long bits, long mask) {
        int index = offset / Short.BYTES;
        if (index == VIRT_HEIGHT || index == VIDEO_MEMORY_64K) {
            // Derived from the others.
            return;
        }
        int value = (int) RegisterBlock.merge(registers[index], bits, mask);
        switch (index) {
            case ID -> {
                if (value >= ID_0 && value <= ID_5) {
                    registers[ID] = value;
                }
            }
            case ENABLE -> enable(value);
            case BANK -> registers[BANK] = value & (int) ((vram.sizeBytes() >>> 16) - 1);
            default -> {
                registers[index] = value;
                fixUp();
            }
        }
    }

    private void enable(int value) {
        if ((value & ENABLED) != 0 && !isOn()) {
            registers[VIRT_WIDTH] = 0;
            registers[X_OFFSET] = 0;
            registers[Y_OFFSET] = 0;
            registers[ENABLE] |= ENABLED;
            fixUp();
            if ((value & NO_CLEAR) == 0) {
                vram.clear(0, registers[YRES] * lineBytes());
            }
        }
        registers[ENABLE] = value;
    }

    private void fixUp() {
        if (!isOn()) {
            return;
        }
        switch (registers[BPP]) {
            case 4, 8, 15, 16, 24, 32 -> {
                // As requested.
            }
            default -> registers[BPP] = 8;
        }
        registers[XRES] = Math.clamp(registers[XRES], 8, MAX_XRES);
        registers[VIRT_WIDTH] = Math.clamp(registers[VIRT_WIDTH], registers[XRES], MAX_XRES);
        long line = lineBytes();
        int mostLines = (int) Math.min(0xFFFF, vram.sizeBytes() / line);
        registers[YRES] = Math.clamp(registers[YRES], 1, Math.min(MAX_YRES, mostLines));
        registers[X_OFFSET] = Math.min(registers[X_OFFSET], MAX_XRES);
        registers[Y_OFFSET] = Math.min(registers[Y_OFFSET], MAX_YRES);
        if (leavesVram()) {
            registers[Y_OFFSET] = 0;
            if (leavesVram()) {
                registers[X_OFFSET] = 0;
            }
        }
        registers[VIRT_HEIGHT] = mostLines;
    }

    private boolean leavesVram() {
        long line = lineBytes();
        long start = registers[X_OFFSET] * (long) storageBits() / 8 + registers[Y_OFFSET] * line;
        return start + registers[YRES] * line > vram.sizeBytes();
    }

    private boolean isOn() {
        return (registers[ENABLE] & ENABLED) != 0;
    }

    /// 15 bits are stored in 16.
    private int storageBits() {
        return registers[BPP] == 15 ? 16 : registers[BPP];
    }

    private long lineBytes() {
        return registers[VIRT_WIDTH] * (long) storageBits() / 8;
    }

    void save(DataOutput out) throws IOException {
        for (int value : registers) {
            out.writeShort(value);
        }
    }

    void restore(DataInput in) throws IOException {
        for (int i = 0; i < registers.length; i++) {
            registers[i] = in.readUnsignedShort();
        }
        fixUp();
    }
}
