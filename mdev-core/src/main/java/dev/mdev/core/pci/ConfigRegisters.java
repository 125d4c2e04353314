package dev.mdev.core.pci;

import java.util.zip.CRC32C;

/// The bytes of a configuration space, and which of their bits a guest can change. Little-endian.
/// Not safe for use by several threads.
///
/// A guest may use any offset and width: bytes outside read as ones and ignore writes, like an
/// absent function.
final class ConfigRegisters {
    private final byte[] values;

    /// Writable bits.
    private final byte[] writable;

    /// Bits that are cleared by writing a one.
    private final byte[] clearable;

    private byte[] defaults;

    ConfigRegisters(int sizeBytes) {
        values = new byte[sizeBytes];
        writable = new byte[sizeBytes];
        clearable = new byte[sizeBytes];
        defaults = values;
    }

    int sizeBytes() {
        return values.length;
    }

    long read(int offsetBytes, int widthBytes) {
        long value = 0;
        for (int i = 0; i < widthBytes; i++) {
            int at = offsetBytes + i;
            long part = isInside(at) ? values[at] & 0xff : 0xff;
            value |= part << (i * Byte.SIZE);
        }
        return value;
    }

    /// A guest's write.
    void write(int offsetBytes, int widthBytes, long value) {
        for (int i = 0; i < widthBytes; i++) {
            int at = offsetBytes + i;
            if (isInside(at)) {
                int written = (int) (value >>> (i * Byte.SIZE));
                int kept = values[at] & ~writable[at] & ~(written & clearable[at]);
                values[at] = (byte) (kept | (written & writable[at]));
            }
        }
    }

    private boolean isInside(int at) {
        return at >= 0 && at < values.length;
    }

    /// Sets a value from the device's side.
    void set(int offsetBytes, int widthBytes, long value) {
        put(values, offsetBytes, widthBytes, value);
    }

    /// Sets which bits of a register a guest can write.
    void allowWrite(int offsetBytes, int widthBytes, long mask) {
        put(writable, offsetBytes, widthBytes, mask);
    }

    /// Sets which bits of a register a guest clears by writing ones.
    void allowClear(int offsetBytes, int widthBytes, long mask) {
        put(clearable, offsetBytes, widthBytes, mask);
    }

    private static void put(byte[] bytes, int offsetBytes, int widthBytes, long value) {
        for (int i = 0; i < widthBytes; i++) {
            bytes[offsetBytes + i] = (byte) (value >>> (i * Byte.SIZE));
        }
    }

    /// Makes the current values the reset values.
    void rememberDefaults() {
        defaults = values.clone();
    }

    /// A number that tells apart registers of different kinds: with other bits for the guest.
    int kind() {
        CRC32C crc = new CRC32C();
        crc.update(writable);
        crc.update(clearable);
        return (int) crc.getValue();
    }

    /// All values.
    byte[] all() {
        return values.clone();
    }

    /// Sets all values that a guest can change.
    ///
    /// @param saved of registers of the same kind
    /// @return whether all other values are equal; if not, nothing changed
    boolean restore(byte[] saved) {
        if (saved.length != values.length) {
            return false;
        }
        for (int at = 0; at < values.length; at++) {
            int fixed = ~(writable[at] | clearable[at]);
            if (((saved[at] ^ values[at]) & fixed) != 0) {
                return false;
            }
        }
        for (int at = 0; at < values.length; at++) {
            int own = writable[at] | clearable[at];
            values[at] = (byte) ((saved[at] & own) | (values[at] & ~own));
        }
        return true;
    }

    void reset() {
        System.arraycopy(defaults, 0, values, 0, values.length);
    }
}
