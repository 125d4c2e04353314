package dev.mdev.gpu;

import dev.mdev.api.register.RegisterBlock;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.Arrays;

/// The VGA ports 0x3c0 to 0x3df, one byte each, as far as a display needs them that is used through
/// [Dispi]: the palette, and the bit that blanks the screen. Other ports read as zero and ignore
/// stores.
///
/// No VGA BIOS would switch the screen on, so it is on after a reset.
final class VgaPorts implements RegisterBlock {
    static final int SIZE = 0x20;

    /// Offsets from port 0x3c0.
    static final int ATTRIBUTE_WRITE = 0x00;

    static final int MISC_WRITE = 0x02;
    static final int DAC_READ_INDEX = 0x07;
    static final int DAC_WRITE_INDEX = 0x08;
    static final int DAC_DATA = 0x09;
    static final int MISC_READ = 0x0C;
    static final int INPUT_STATUS_1 = 0x1A;

    /// In the attribute index: the palette is in use and the screen on.
    static final int SCREEN_ON = 0x20;

    private static final int COLOUR_PORTS = 0x01;
    private static final int RETRACE = 0x09;

    private static final int CHANNELS = 3;

    private final byte[] palette = new byte[CHANNELS * 256];

    /// What was stored of the entry that is being written. The entry changes with its third byte.
    private final byte[] latch = new byte[CHANNELS];

    // Each fits a byte.

    /// The entries that guests read and write next.
    private int readIndex;

    private int writeIndex;

    /// Which byte of the entry comes next. One counter for both directions, as in QEMU's VGA
    /// (`dac_sub_index`): storing an index of either kind drops a part of an entry.
    private int channel;

    private int dacState;
    private int attributeIndex = SCREEN_ON;
    private int attributeFlipFlop;
    private int misc;
    private int inputStatus;

    boolean isScreenOn() {
        return (attributeIndex & SCREEN_ON) != 0;
    }

    /// A colour of the palette.
    ///
    /// @param wide whether its bytes have 8 significant bits, not 6
    int rgb(int index, boolean wide) {
        int rgb = 0;
        for (int i = 0; i < CHANNELS; i++) {
            int value = palette[CHANNELS * index + i] & 0xFF;
            // Six bits to eight: the lowest is repeated, so that 0x3f is white.
            rgb = (rgb << 8) | (wide ? value : ((value & 0x3F) << 2) | ((value & 1) * 3));
        }
        return rgb;
    }

    void reset() {
        Arrays.fill(palette, (byte) 0);
        Arrays.fill(latch, (byte) 0);
        readIndex = 0;
        writeIndex = 0;
        channel = 0;
        dacState = 0;
        attributeIndex = SCREEN_ON;
        attributeFlipFlop = 0;
        misc = 0;
        inputStatus = 0;
    }

    @Override
    public int widthAt(int offset) {
        return 1;
    }

    @Override
    public long load(int port) {
        return switch (port) {
            case ATTRIBUTE_WRITE -> attributeFlipFlop == 0 ? attributeIndex : 0;
            case DAC_READ_INDEX -> dacState;
            case DAC_WRITE_INDEX -> writeIndex;
            case DAC_DATA -> readPalette();
            case MISC_READ -> misc;
            case INPUT_STATUS_1 -> readInputStatus();
            default -> 0;
        };
    }

    private long readPalette() {
        int value = palette[CHANNELS * readIndex + channel] & 0xFF;
        if (isEntryComplete()) {
            readIndex = (readIndex + 1) & 0xFF;
        }
        return value;
    }

    private void writePalette(int value) {
        latch[channel] = (byte) value;
        if (isEntryComplete()) {
            System.arraycopy(latch, 0, palette, CHANNELS * writeIndex, CHANNELS);
            writeIndex = (writeIndex + 1) & 0xFF;
        }
    }

    /// Counts a byte, and says whether it was the entry's last.
    private boolean isEntryComplete() {
        channel = (channel + 1) % CHANNELS;
        return channel == 0;
    }

    /// The retrace bits toggle, for guests that wait for them.
    private long readInputStatus() {
        if ((misc & COLOUR_PORTS) == 0) {
            return 0xFF;
        }
        attributeFlipFlop = 0;
        inputStatus ^= RETRACE;
        return inputStatus;
    }

    @Override
    public void store(int port, long bits, long mask) {
        int value = (int) bits & 0xFF;
        switch (port) {
            case ATTRIBUTE_WRITE -> {
                if (attributeFlipFlop == 0) {
                    attributeIndex = value & 0x3F;
                }
                attributeFlipFlop ^= 1;
            }
            case MISC_WRITE -> misc = value & ~0x10;
            case DAC_READ_INDEX -> {
                readIndex = value;
                channel = 0;
                dacState = 3;
            }
            case DAC_WRITE_INDEX -> {
                writeIndex = value;
                channel = 0;
                dacState = 0;
            }
            case DAC_DATA -> writePalette(value);
            default -> {
                // An unused port.
            }
        }
    }

    void save(DataOutput out) throws IOException {
        out.write(palette);
        out.write(latch);
        out.writeByte(readIndex);
        out.writeByte(writeIndex);
        out.writeByte(channel);
        out.writeByte(dacState);
        out.writeByte(attributeIndex);
        out.writeByte(attributeFlipFlop);
        out.writeByte(misc);
        out.writeByte(inputStatus);
    }

    void restore(DataInput in) throws IOException {
        in.readFully(palette);
        in.readFully(latch);
        readIndex = in.readUnsignedByte();
        writeIndex = in.readUnsignedByte();
        channel = in.readUnsignedByte() % CHANNELS;
        dacState = in.readUnsignedByte() & 3;
        attributeIndex = in.readUnsignedByte() & 0x3F;
        attributeFlipFlop = in.readUnsignedByte() & 1;
        misc = in.readUnsignedByte();
        inputStatus = in.readUnsignedByte() & RETRACE;
    }
}
