package dev.mdev.api.register;

/// Registers that guests may access with any width, at any offset.
///
/// An implementation only knows whole registers. [#read] and [#write] split an access into the
/// registers that it touches, in ascending order, each of them once.
public interface RegisterBlock {
    /// The width in bytes of the register that `offset` lies in: 1, 2, 4 or 8. A register lies at a
    /// multiple of its width.
    int widthAt(int offset);

    /// The value of the register at `offset`, which is its first byte.
    long load(int offset);

    /// Stores to the register at `offset`, which is its first byte.
    ///
    /// @param value the bits that are stored, in their places
    /// @param mask which bits are stored
    void store(int offset, long value, long mask);

    /// A guest's load.
    default long read(int offset, int widthBytes) {
        long result = 0;
        int done = 0;
        while (done < widthBytes) {
            Part part = Part.of(this, offset + done, widthBytes - done);
            result |= ((load(part.register) >>> part.shift) & part.lowMask()) << (8 * done);
            done += part.bytes;
        }
        return result;
    }

    /// A guest's store.
    default void write(int offset, int widthBytes, long value) {
        int done = 0;
        while (done < widthBytes) {
            Part part = Part.of(this, offset + done, widthBytes - done);
            long bits = (value >>> (8 * done)) & part.lowMask();
            store(part.register, bits << part.shift, part.lowMask() << part.shift);
            done += part.bytes;
        }
    }

    /// The value of a register after a store.
    static long merge(long old, long value, long mask) {
        return (old & ~mask) | (value & mask);
    }

    /// The part of an access in one register.
    ///
    /// @param register the register's offset
    /// @param shift bits from the register's lowest to the part's lowest
    /// @param bytes the part's length
    record Part(int register, int shift, int bytes) {
        static Part of(RegisterBlock block, int offset, int most) {
            int width = block.widthAt(offset);
            int register = offset & -width;
            int within = offset - register;
            return new Part(register, 8 * within, Math.min(most, width - within));
        }

        /// As many ones as the part has bits.
        long lowMask() {
            return -1L >>> (64 - 8 * bytes);
        }
    }
}
