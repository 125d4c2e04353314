package dev.mdev.core.vm;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;

/// The parts of a machine.
///
/// @param name for people and thread names: letters, digits, `.`, `_`, `-`; 1 to 64 characters
/// @param ramBytes its RAM, a multiple of the page size, from guest-physical address 0; may be 0
/// @param vcpus virtual processors, 1 to 64
public record MachineSpec(String name, long ramBytes, int vcpus) {
    /// The lowest address for BARs. RAM must end below.
    public static final long BAR_WINDOW_GPA = 1L << 40;

    /// The size of [#ECAM_GPA]'s window: one bus of 32 devices with 8 functions of 4096 bytes.
    public static final long ECAM_BYTES = 1L << 20;

    /// The address of memory-mapped configuration space (PCI Express Base Specification, "Enhanced
    /// Configuration Access Mechanism"), at the end of the BARs' addresses: the function's device
    /// number is in bits 19 to 15 of the address, its function number in bits 14 to 12.
    public static final long ECAM_GPA = 2 * BAR_WINDOW_GPA - ECAM_BYTES;

    private static final int MAX_VCPUS = 64;

    /// @throws MdevException EINVAL if a value is out of range
    public MachineSpec {
        if (!name.matches("[A-Za-z0-9._-]{1,64}")) {
            throw new MdevException(Errno.EINVAL, "not a machine's name: " + name);
        }
        if (ramBytes < 0 || ramBytes > BAR_WINDOW_GPA || !Page.isAligned(ramBytes)) {
            throw new MdevException(Errno.EINVAL, "ramBytes=" + ramBytes);
        }
        if (vcpus < 1 || vcpus > MAX_VCPUS) {
            throw new MdevException(Errno.EINVAL, "vcpus=" + vcpus);
        }
    }
}
