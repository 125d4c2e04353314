package dev.mdev.core.vm;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.memslot.SmmDesign;

/// The parts of a machine.
///
/// @param name for people and thread names: letters, digits, `.`, `_`, `-`; 1 to 64 characters
/// @param ramBytes its RAM, a multiple of the page size, from guest-physical address 0, in part
///   from [#HIGH_RAM_GPA]; may be 0
/// @param vcpus virtual processors, 1 to 64
/// @param smm its system management mode; a machine that has it has at least
///   [#LEAST_RAM_WITH_SMM_BYTES] of RAM
public record MachineSpec(String name, long ramBytes, int vcpus, SmmDesign smm) {
    /// RAM up to 1 MiB, and TSEG.
    public static final long LEAST_RAM_WITH_SMM_BYTES = 2L << 20;

    /// The maximum size of RAM. A machine whose addresses have fewer bits may have less.
    private static final long MAX_RAM_BYTES = 1L << 40;

    /// Where the RAM continues that does not fit below.
    public static final long HIGH_RAM_GPA = 1L << 32;

    /// A machine with less RAM has all of it below [#HIGH_RAM_GPA]; one with more has
    /// [#LOW_RAM_BYTES] there, so that 32-bit BARs find room (QEMU `pc_q35_init`).
    private static final long ALL_LOW_LIMIT_BYTES = 0xb000_0000L;

    private static final long LOW_RAM_BYTES = 0x8000_0000L;

    private static final int MAX_VCPUS = 64;

    /// @throws MdevException EINVAL if a value is out of range
    public MachineSpec {
        if (!name.matches("[A-Za-z0-9._-]{1,64}")) {
            throw new MdevException(Errno.EINVAL, "not a machine's name: " + name);
        }
        if (ramBytes < 0 || ramBytes > MAX_RAM_BYTES || !Page.isAligned(ramBytes)) {
            throw new MdevException(Errno.EINVAL, "ramBytes=" + ramBytes);
        }
        if (vcpus < 1 || vcpus > MAX_VCPUS) {
            throw new MdevException(Errno.EINVAL, "vcpus=" + vcpus);
        }
        if (smm != SmmDesign.NONE && ramBytes < LEAST_RAM_WITH_SMM_BYTES) {
            throw new MdevException(
                    Errno.EINVAL,
                    "smm=%s ramBytes=%d: it takes at least %d"
                            .formatted(smm, ramBytes, LEAST_RAM_WITH_SMM_BYTES));
        }
    }

    /// A machine without system management mode.
    ///
    /// @throws MdevException EINVAL if a value is out of range
    public MachineSpec(String name, long ramBytes, int vcpus) {
        this(name, ramBytes, vcpus, SmmDesign.NONE);
    }

    /// The RAM from address 0.
    public long lowRamBytes() {
        return ramBytes < ALL_LOW_LIMIT_BYTES ? ramBytes : LOW_RAM_BYTES;
    }

    /// The end of RAM.
    long ramEndGpa() {
        return highRamBytes() == 0 ? lowRamBytes() : HIGH_RAM_GPA + highRamBytes();
    }

    /// The RAM from [#HIGH_RAM_GPA].
    public long highRamBytes() {
        return ramBytes - lowRamBytes();
    }
}
