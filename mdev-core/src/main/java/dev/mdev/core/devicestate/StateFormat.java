package dev.mdev.core.devicestate;

import dev.mdev.api.page.Page;

/// The numbers of the format; the package's documentation describes it.
public final class StateFormat {
    static final byte[] MAGIC = {'M', 'D', 'E', 'V', 'S', 'T', 'A', 'T'};
    static final int VERSION = 1;

    static final int TAG_HEADER = 1;
    static final int TAG_PAGES = 2;
    static final int TAG_DRIVER = 3;
    static final int TAG_END = 4;

    /// The maximum number of pages in one section.
    public static final int MAX_PAGES = 256;

    /// The maximum number of bytes in one driver section.
    public static final int MAX_DRIVER_PART_BYTES = 1 << 16;

    /// Bytes of a pages section before the content.
    static final int PAGES_PREFIX_BYTES = Short.BYTES + Long.BYTES;

    static final int MAX_HEADER_BYTES = 1 << 14;
    static final int MAX_POOLS = 64;
    static final int END_BYTES = 2 * Long.BYTES;

    private StateFormat() {}

    /// The maximum payload of a section, or -1 if there is no such section.
    static int maxLength(int tag) {
        return switch (tag) {
            case TAG_HEADER -> MAX_HEADER_BYTES;
            case TAG_PAGES -> PAGES_PREFIX_BYTES + MAX_PAGES * Page.SIZE;
            case TAG_DRIVER -> MAX_DRIVER_PART_BYTES;
            case TAG_END -> END_BYTES;
            default -> -1;
        };
    }
}
