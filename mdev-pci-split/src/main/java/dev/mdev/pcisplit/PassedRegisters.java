package dev.mdev.pcisplit;

import dev.mdev.api.Aperture;
import dev.mdev.api.register.RegisterBlock;
import dev.mdev.pcisplit.description.Description.PassedPage;
import dev.mdev.pcisplit.description.Description.Register;

import org.jspecify.annotations.Nullable;

import java.util.TreeMap;

/// A page of the function's registers as a guest sees it: the listed ones, with their masks. All
/// others read as zero, and ignore stores.
final class PassedRegisters implements RegisterBlock {
    private final Aperture aperture;
    private final long pageOffsetBytes;
    private final Runnable suspicion;
    private final TreeMap<Integer, Register> registers = new TreeMap<>();
    private long refused;

    /// @param pageOffsetBytes where the page is in the aperture
    /// @param suspicion called when a register reads as all ones
    PassedRegisters(Aperture aperture, long pageOffsetBytes, PassedPage page, Runnable suspicion) {
        this.aperture = aperture;
        this.pageOffsetBytes = pageOffsetBytes;
        this.suspicion = suspicion;
        page.registers().forEach(register -> registers.put(register.offset(), register));
    }

    /// Accesses to registers that the description does not list, and stores that it does not allow.
    long refused() {
        return refused;
    }

    /// Stores the values of a reset.
    void reset() {
        registers
                .values()
                .forEach(register ->
                        register.resetValue()
                                .ifPresent(value -> put(register, value, register.writeMask())));
    }

    private @Nullable Register around(int offset) {
        var floor = registers.floorEntry(offset);
        return floor != null && offset < floor.getKey() + floor.getValue().widthBytes()
                ? floor.getValue()
                : null;
    }

    @Override
    public int widthAt(int offset) {
        Register register = around(offset);
        return register == null ? 1 : register.widthBytes();
    }

    @Override
    public long load(int offset) {
        Register register = registers.get(offset);
        if (register == null) {
            refused++;
            return 0;
        }
        return valueOf(register) & register.readMask();
    }

    private long valueOf(Register register) {
        long value = aperture.load(pageOffsetBytes + register.offset(), register.widthBytes());
        if (value == Register.allOnes(register.widthBytes())) {
            suspicion.run();
        }
        return value;
    }

    @Override
    public void store(int offset, long value, long mask) {
        Register register = registers.get(offset);
        long bits = register == null ? 0 : mask & register.writeMask();
        if (register == null || bits == 0) {
            refused++;
        } else {
            put(register, value, bits);
        }
    }

    /// Other bits keep the function's value, which is loaded for that.
    private void put(Register register, long value, long bits) {
        long stored =
                bits == Register.allOnes(register.widthBytes())
                        ? value
                        : RegisterBlock.merge(valueOf(register), value, bits);
        aperture.store(pageOffsetBytes + register.offset(), register.widthBytes(), stored);
    }
}
