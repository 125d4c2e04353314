package dev.mdev.core.pci;

/// The MSI capability, with a 64-bit address and a mask bit for each vector. Its values are copied
/// to [MsiVectors], which answer without the configuration space's lock.
final class MsiCapability extends PciCapability {
    static final int ID = 0x05;

    private static final int CONTROL = 2;
    private static final int ADDRESS = 4;
    private static final int DATA = 12;
    private static final int MASK = 16;
    private static final int PENDING = 20;
    private static final int LENGTH = 24;

    private static final int ENABLE = 1;
    private static final int ENABLED_SHIFT = 4;
    private static final int ENABLED_MASK = 7;
    private static final int CAPABLE_SHIFT = 1;
    private static final int ADDRESS_64 = 1 << 7;
    private static final int VECTOR_MASKING = 1 << 8;

    private final MsiVectors vectors;

    /// log2 of the vectors that the function has.
    private final int capable;

    private boolean enabled;

    MsiCapability(MsiVectors vectors) {
        super(ID, LENGTH);
        this.vectors = vectors;
        this.capable = Integer.numberOfTrailingZeros(vectors.count());
    }

    boolean isEnabled() {
        return enabled;
    }

    @Override
    void define(ConfigRegisters registers, int at) {
        registers.set(at + CONTROL, 2, capable << CAPABLE_SHIFT | ADDRESS_64 | VECTOR_MASKING);
        registers.allowWrite(at + CONTROL, 2, ENABLE | ENABLED_MASK << ENABLED_SHIFT);
        registers.allowWrite(at + ADDRESS, 8, ~3L);
        registers.allowWrite(at + DATA, 2, 0xffff);
        registers.allowWrite(at + MASK, 4, (1L << vectors.count()) - 1);
    }

    @Override
    void written(ConfigRegisters registers) {
        int control = (int) registers.read(offset() + CONTROL, 2);
        enabled = (control & ENABLE) != 0;
        int log = control >> ENABLED_SHIFT & ENABLED_MASK;
        if (enabled && log > capable) {
            // This violates the specification; as in QEMU, absent vectors stay disabled.
            log = capable;
            registers.set(
                    offset() + CONTROL,
                    2,
                    (control & ~(ENABLED_MASK << ENABLED_SHIFT)) | (log << ENABLED_SHIFT));
        }
        vectors.configure(
                new MsiVectors.Settings(
                        1 << Math.min(log, capable),
                        registers.read(offset() + ADDRESS, 8),
                        (int) registers.read(offset() + DATA, 2),
                        (int) registers.read(offset() + MASK, 4)));
    }

    @Override
    void refresh(ConfigRegisters registers) {
        registers.set(offset() + PENDING, 4, vectors.pendingBits());
    }

    /// Puts the pending bits of this moment into saved registers: they are restored by themselves.
    void keepPending(ConfigRegisters registers, byte[] saved) {
        for (int i = 0; i < Integer.BYTES; i++) {
            saved[offset() + PENDING + i] = (byte) registers.read(offset() + PENDING + i, 1);
        }
    }

    @Override
    void reset() {
        enabled = false;
        vectors.reset();
    }
}
