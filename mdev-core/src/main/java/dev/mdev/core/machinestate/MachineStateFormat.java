package dev.mdev.core.machinestate;

import dev.mdev.api.page.Page;

/// The numbers of the format; the package's documentation describes it.
public final class MachineStateFormat {
    static final byte[] MAGIC = {'M', 'D', 'E', 'V', 'M', 'A', 'C', 'H'};
    static final int VERSION = 2;

    static final int TAG_HEADER = 1;
    static final int TAG_PAGES = 2;
    static final int TAG_ZEROES = 3;
    static final int TAG_DEVICE = 4;
    static final int TAG_FUNCTION = 5;
    static final int TAG_SMM = 6;
    static final int TAG_PROCESSORS = 7;
    static final int TAG_END = 8;

    /// The maximum number of pages in one section.
    public static final int MAX_PAGES = 256;

    /// The maximum number of bytes of a device's state in one section.
    static final int MAX_PART_BYTES = 1 << 16;

    /// The maximum number of devices: those of one bus.
    static final int MAX_DEVICES = 31;

    static final int MAX_VCPUS = 64;
    static final int MAX_BARS = 7;
    static final int PROCESSOR_BYTES = 1 + Integer.BYTES + Long.BYTES;

    /// Of the host bridge's registers in the section of system management mode.
    public static final int BRIDGE_BYTES = 15;

    static final int MODE_BYTES = 1 + Integer.BYTES;
    private static final int MAX_HEADER_BYTES = 1 << 17;
    private static final int MAX_FUNCTION_BYTES = 1 << 17;
    private static final int END_BYTES = Integer.BYTES + 3 * Long.BYTES;

    private MachineStateFormat() {}

    /// The maximum payload of a section, or -1 if there is no such section.
    static int maxLength(int tag) {
        return switch (tag) {
            case TAG_HEADER -> MAX_HEADER_BYTES;
            case TAG_PAGES -> Long.BYTES + MAX_PAGES * Page.SIZE;
            case TAG_ZEROES -> 2 * Long.BYTES;
            case TAG_DEVICE -> Short.BYTES + MAX_PART_BYTES;
            case TAG_FUNCTION -> Short.BYTES + MAX_FUNCTION_BYTES;
            case TAG_SMM -> BRIDGE_BYTES + MAX_VCPUS * MODE_BYTES;
            case TAG_PROCESSORS -> MAX_VCPUS * PROCESSOR_BYTES;
            case TAG_END -> END_BYTES;
            default -> -1;
        };
    }
}
