package dev.mdev.core.vm;

import dev.mdev.core.machinestate.MachineStateFormat;

import java.util.concurrent.atomic.AtomicReference;

/// The host bridge of a machine with system management mode, at 00:00.0: its registers say where
/// the guest finds RAM below 1 MiB, and in which mode it finds SMRAM. They are those of Intel's Q35
/// (datasheet 316966, "DRAM Controller Registers"), as firmware leaves them: all RAM is visible,
/// SMRAM is closed, TSEG is enabled. `D_CLS` and other sizes of TSEG than 1 MiB are not there.
///
/// Any thread may call; no lock.
final class HostBridge {
    /// The first of the seven PAM registers.
    static final int PAM0 = 0x90;

    static final int SMRAM = 0x9d;
    static final int ESMRAMC = 0x9e;

    /// Bit of [#SMRAM]: SMRAM at 0xa0000 is visible outside system management mode, too.
    static final int D_OPEN = 1 << 6;

    /// Bit of [#SMRAM]: the two registers cannot change any more.
    static final int D_LCK = 1 << 4;

    /// Bit of [#SMRAM]: there is SMRAM.
    static final int G_SMRAME = 1 << 3;

    /// Bit of [#ESMRAMC]: TSEG is SMRAM.
    static final int T_EN = 1;

    /// Bits of a segment in a PAM register.
    static final int READS_RAM = 1;

    static final int WRITES_RAM = 2;

    /// Segments of RAM from 0xc0000 to 1 MiB.
    static final int SEGMENTS = 13;

    private static final int PAM_REGISTERS = 7;
    private static final int COMPATIBLE_SMRAM = 2;
    private static final int CACHE_DISABLED = 7 << 3;
    private static final int SMRAM_MASK = D_OPEN | D_LCK | G_SMRAME;
    private static final int PAM_MASK = 0x33;

    /// Vendor, device, command, status, class and subsystem: a host bridge that QEMU's machines
    /// have.
    private static final int[] HEADER = {0x29c0_8086, 0x0000_0006, 0x0600_0002, 0};

    private static final int SUBSYSTEM_AT = 0x2c;
    private static final int SUBSYSTEM = 0x1100_1af4;

    private final AtomicReference<Registers> registers =
            new AtomicReference<>(
                    new Registers(0x33_3333_3333_3330L, COMPATIBLE_SMRAM | G_SMRAME, T_EN));

    /// What the registers say.
    ///
    /// @param pam the PAM registers, the first in the lowest byte
    record Registers(long pam, int smram, int esmramc) {
        /// What a segment's accesses reach: bits of [#READS_RAM] and [#WRITES_RAM].
        ///
        /// @param segment 0 to 11 are 16 KiB each, 12 is the 64 KiB below 1 MiB
        int segment(int segment) {
            int nibble = segment == SEGMENTS - 1 ? 1 : segment + 2;
            return (int) (pam >>> (nibble * 4)) & (READS_RAM | WRITES_RAM);
        }

        boolean hasSmram() {
            return (smram & G_SMRAME) != 0;
        }

        boolean isOpen() {
            return hasSmram() && (smram & D_OPEN) != 0;
        }

        boolean hasTseg() {
            return hasSmram() && (esmramc & T_EN) != 0;
        }

        private boolean isLocked() {
            return (smram & D_LCK) != 0;
        }

        int byteAt(int offset) {
            if (offset >= PAM0 && offset < PAM0 + PAM_REGISTERS) {
                return (int) (pam >>> ((offset - PAM0) * Byte.SIZE)) & 0xff;
            }
            return switch (offset) {
                case SMRAM -> smram;
                case ESMRAMC -> esmramc | CACHE_DISABLED;
                default -> headerByte(offset);
            };
        }

        Registers with(int offset, int value) {
            if (offset >= PAM0 && offset < PAM0 + PAM_REGISTERS) {
                int at = (offset - PAM0) * Byte.SIZE;
                long next = (pam & ~(0xffL << at)) | ((value & (long) pamMask(offset)) << at);
                return new Registers(next, smram, esmramc);
            }
            if (isLocked()) {
                return this;
            }
            return switch (offset) {
                case SMRAM -> new Registers(pam, smramOf(value), esmramc);
                case ESMRAMC -> new Registers(pam, smram, value & T_EN);
                default -> this;
            };
        }

        /// The first register has one segment only.
        private static int pamMask(int offset) {
            return offset == PAM0 ? PAM_MASK & 0xf0 : PAM_MASK;
        }

        /// A lock also closes.
        private static int smramOf(int value) {
            int next = COMPATIBLE_SMRAM | (value & SMRAM_MASK);
            return (next & D_LCK) != 0 ? next & ~D_OPEN : next;
        }

        private static int headerByte(int offset) {
            int word =
                    offset / Integer.BYTES < HEADER.length
                            ? HEADER[offset / Integer.BYTES]
                            : (offset & -Integer.BYTES) == SUBSYSTEM_AT ? SUBSYSTEM : 0;
            return word >>> (offset % Integer.BYTES * Byte.SIZE) & 0xff;
        }
    }

    /// The bytes of all registers that can change, for a machine's state.
    byte[] save() {
        Registers now = registers.get();
        byte[] bytes = new byte[MachineStateFormat.BRIDGE_BYTES];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) now.byteAt(PAM0 + i);
        }
        return bytes;
    }

    /// Sets the registers from what [#save] returned, or from anything else: a bit that a guest
    /// cannot set stays as it is.
    void restore(byte[] bytes) {
        // SMRAM comes last, because it may lock the others.
        for (int i = 0; i < bytes.length; i++) {
            if (PAM0 + i != SMRAM) {
                var _ = write(PAM0 + i, 1, bytes[i]);
            }
        }
        var _ = write(SMRAM, 1, bytes[SMRAM - PAM0]);
    }

    Registers registers() {
        return registers.get();
    }

    /// @param offset in its configuration space
    /// @param widthBytes 1 to 8
    long read(int offset, int widthBytes) {
        Registers now = registers.get();
        long value = 0;
        for (int i = 0; i < widthBytes; i++) {
            value |= (long) now.byteAt(offset + i) << (i * Byte.SIZE);
        }
        return value;
    }

    /// @return whether a register has changed
    boolean write(int offset, int widthBytes, long value) {
        Registers before =
                registers.getAndUpdate(now -> {
                    Registers next = now;
                    for (int i = 0; i < widthBytes; i++) {
                        next = next.with(offset + i, (int) (value >>> (i * Byte.SIZE)) & 0xff);
                    }
                    return next;
                });
        return !before.equals(registers.get());
    }
}
