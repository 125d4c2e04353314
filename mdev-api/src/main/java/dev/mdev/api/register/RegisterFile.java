package dev.mdev.api.register;

import org.jspecify.annotations.Nullable;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.TreeMap;
import java.util.function.LongSupplier;

/// Registers that are declared one by one, in the manner of QEMU's `RegisterAccessInfo`; they are
/// reset, saved and restored together. Offsets between them read as zero and ignore stores.
///
/// [#load] and [#store] are for guests' accesses, [#get] and [#set] for the device itself. Not
/// thread-safe.
public final class RegisterFile implements RegisterBlock {
    private enum Kind {
        CONSTANT,
        READ_ONLY,
        PLAIN,
        STATUS,
        COMPUTED
    }

    private static final class Register {
        final int widthBytes;
        final Kind kind;
        final long resetValue;
        final long guestBits;
        long value;
        @Nullable Stored afterStore;
        @Nullable LongSupplier onLoad;

        Register(int widthBytes, Kind kind, long resetValue, long guestBits) {
            this.widthBytes = widthBytes;
            this.kind = kind;
            this.resetValue = resetValue;
            this.guestBits = guestBits;
            this.value = resetValue;
        }

        long widthMask() {
            return -1L >>> (Long.SIZE - Byte.SIZE * widthBytes);
        }
    }

    private final TreeMap<Integer, Register> registers = new TreeMap<>();

    /// Adds a register whose value never changes. It is not saved.
    public RegisterFile constant(int offset, int widthBytes, long value) {
        return add(offset, new Register(widthBytes, Kind.CONSTANT, value, 0));
    }

    /// Adds a register that only the device sets.
    public RegisterFile readOnly(int offset, int widthBytes, long resetValue) {
        return add(offset, new Register(widthBytes, Kind.READ_ONLY, resetValue, 0));
    }

    /// Adds a register that keeps what guests store to it.
    ///
    /// @param writable the bits that guests can change; the others stay zero
    public RegisterFile plain(int offset, int widthBytes, long writable) {
        return add(offset, new Register(widthBytes, Kind.PLAIN, 0, writable));
    }

    /// Adds a register whose bits the device sets, and guests clear by storing ones.
    public RegisterFile status(int offset, int widthBytes, long bits) {
        return add(offset, new Register(widthBytes, Kind.STATUS, 0, bits));
    }

    /// Adds a register that the device answers at each load by a guest: the load may change the
    /// device, as that of a FIFO. It keeps nothing, and is not saved.
    ///
    /// @param onLoad called at each load that touches the register
    public RegisterFile computed(int offset, int widthBytes, LongSupplier onLoad) {
        Register register = new Register(widthBytes, Kind.COMPUTED, 0, 0);
        register.onLoad = onLoad;
        return add(offset, register);
    }

    /// Called after a guest stored to a register.
    @FunctionalInterface
    public interface Stored {
        /// @param value what the register holds now
        /// @param stored the bits that the guest stored, those it cannot change included
        void stored(long value, long stored);
    }

    /// Calls `hook` after each store by a guest to the register at `offset`, whatever its kind and
    /// also if its value stays the same: a command register acts by it. A store that covers several
    /// registers calls their hooks by ascending offsets, each after its register changed.
    ///
    /// @throws IllegalArgumentException if no register is declared there, or it has a hook
    public RegisterFile afterStore(int offset, Stored hook) {
        Register register = at(offset);
        if (register.afterStore != null) {
            throw new IllegalArgumentException("offset=0x%x has a hook".formatted(offset));
        }
        register.afterStore = hook;
        return this;
    }

    private RegisterFile add(int offset, Register register) {
        int width = register.widthBytes;
        if (width > Long.BYTES || Integer.bitCount(width) != 1 || offset % width != 0) {
            throw new IllegalArgumentException("offset=0x%x width=%d".formatted(offset, width));
        }
        for (int i = 0; i < width; i++) {
            if (startOf(offset + i) >= 0 || registers.containsKey(offset + i)) {
                throw new IllegalArgumentException("offset=0x%x is taken".formatted(offset + i));
            }
        }
        registers.put(offset, register);
        return this;
    }

    /// The offset of the register that `offset` lies in, or -1.
    private int startOf(int offset) {
        var floor = registers.floorEntry(offset);
        boolean inside = floor != null && offset < floor.getKey() + floor.getValue().widthBytes;
        return inside ? floor.getKey() : -1;
    }

    /// The value of the register at `offset`.
    ///
    /// @throws IllegalArgumentException if there is no register
    public long get(int offset) {
        return at(offset).value;
    }

    /// Sets the register at `offset`, regardless of its access rules for guests.
    ///
    /// @throws IllegalArgumentException if there is no register
    public void set(int offset, long value) {
        Register register = at(offset);
        register.value = value & register.widthMask();
    }

    private Register at(int offset) {
        Register register = registers.get(offset);
        if (register == null) {
            throw new IllegalArgumentException("no register at offset=0x%x".formatted(offset));
        }
        return register;
    }

    @Override
    public int widthAt(int offset) {
        int start = startOf(offset);
        return start < 0 ? 1 : at(start).widthBytes;
    }

    @Override
    public long load(int offset) {
        Register register = registers.get(offset);
        if (register == null) {
            return 0;
        }
        LongSupplier onLoad = register.onLoad;
        return onLoad == null ? register.value : onLoad.getAsLong() & register.widthMask();
    }

    @Override
    public void store(int offset, long value, long mask) {
        Register register = registers.get(offset);
        if (register == null) {
            return;
        }
        long bits = mask & register.guestBits;
        switch (register.kind) {
            case PLAIN -> register.value = RegisterBlock.merge(register.value, value, bits);
            case STATUS -> register.value &= ~(value & bits);
            case CONSTANT, READ_ONLY, COMPUTED -> {
                // Set by the device only.
            }
        }
        Stored hook = register.afterStore;
        if (hook != null) {
            hook.stored(register.value, value & mask);
        }
    }

    /// Resets all registers to their declared values.
    public void reset() {
        registers.values().forEach(register -> register.value = register.resetValue);
    }

    /// Writes all registers except constant and computed ones, 8 bytes each, by ascending offsets.
    public void save(DataOutput out) throws IOException {
        for (Register register : registers.values()) {
            switch (register.kind) {
                case PLAIN, STATUS, READ_ONLY -> out.writeLong(register.value);
                case CONSTANT, COMPUTED -> {
                    // Nothing to keep.
                }
            }
        }
    }

    /// Reads what [#save] of a file with the same declarations wrote. Drops bits that a register
    /// cannot have; the caller must check whether the values are consistent.
    public void restore(DataInput in) throws IOException {
        for (Register register : registers.values()) {
            switch (register.kind) {
                case PLAIN, STATUS -> register.value = in.readLong() & register.guestBits;
                case READ_ONLY -> register.value = in.readLong() & register.widthMask();
                case CONSTANT, COMPUTED -> {
                    // Not saved.
                }
            }
        }
    }
}
