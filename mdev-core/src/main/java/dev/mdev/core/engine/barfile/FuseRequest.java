package dev.mdev.core.engine.barfile;

import dev.mdev.core.sys.FuseAbi.BatchForgetIn;
import dev.mdev.core.sys.FuseAbi.ForgetIn;
import dev.mdev.core.sys.FuseAbi.ForgetOne;
import dev.mdev.core.sys.FuseAbi.InHeader;
import dev.mdev.core.sys.FuseAbi.InitIn;
import dev.mdev.core.sys.FuseAbi.ReadIn;
import dev.mdev.core.sys.FuseAbi.WriteIn;
import dev.mdev.core.sys.LinuxAbi;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/// A request of the kernel. Each part is checked against the length of what was read, so that a
/// request of any content is harmless.
///
/// @param opcode `FuseAbi.FUSE_...`
/// @param unique the number that its answer repeats
/// @param node the file or directory
/// @param body what follows the header; valid until the next request is read
record FuseRequest(int opcode, long unique, long node, MemorySegment body) {
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED;
    private static final int MAX_NAME_BYTES = 255;

    /// The request in the first bytes of a buffer.
    ///
    /// @return null if they are no request
    static @Nullable FuseRequest of(MemorySegment buffer, long lengthBytes) {
        if (lengthBytes < InHeader.SIZE
                || Integer.toUnsignedLong(buffer.get(INT, InHeader.LEN)) != lengthBytes) {
            return null;
        }
        return new FuseRequest(
                buffer.get(INT, InHeader.OPCODE),
                buffer.get(LONG, InHeader.UNIQUE),
                buffer.get(LONG, InHeader.NODEID),
                buffer.asSlice(InHeader.SIZE, lengthBytes - InHeader.SIZE));
    }

    /// The start of a conversation.
    ///
    /// @param maxReadaheadBytes the kernel's limit
    /// @param flags what the kernel can do
    record Init(int major, int minor, long maxReadaheadBytes, int flags) {}

    @Nullable Init init() {
        if (body.byteSize() < InitIn.MIN_SIZE) {
            return null;
        }
        return new Init(
                body.get(INT, InitIn.MAJOR),
                body.get(INT, InitIn.MINOR),
                Integer.toUnsignedLong(body.get(INT, InitIn.MAX_READAHEAD)),
                body.get(INT, InitIn.FLAGS));
    }

    /// A read of a file.
    ///
    /// @param handle from the answer to its open request
    /// @param offsetBytes at least 0
    /// @param sizeBytes at least 1
    /// @param isDirect whether it goes past the page cache
    record Read(long handle, long offsetBytes, long sizeBytes, boolean isDirect) {}

    @Nullable Read read() {
        if (body.byteSize() < ReadIn.SIZE) {
            return null;
        }
        Read read =
                new Read(
                        body.get(LONG, ReadIn.FH),
                        body.get(LONG, ReadIn.OFFSET),
                        Integer.toUnsignedLong(body.get(INT, ReadIn.SIZE_BYTES)),
                        (body.get(INT, ReadIn.FLAGS) & LinuxAbi.O_DIRECT) != 0);
        return isRange(read.offsetBytes, read.sizeBytes) ? read : null;
    }

    /// A write of a file.
    ///
    /// @param offsetBytes at least 0
    /// @param data at least one byte
    /// @param flags `FuseAbi.FUSE_WRITE_...`
    record Write(long offsetBytes, MemorySegment data, int flags) {}

    @Nullable Write write() {
        if (body.byteSize() < WriteIn.SIZE) {
            return null;
        }
        long offset = body.get(LONG, WriteIn.OFFSET);
        long size = Integer.toUnsignedLong(body.get(INT, WriteIn.SIZE_BYTES));
        if (!isRange(offset, size) || size > body.byteSize() - WriteIn.SIZE) {
            return null;
        }
        return new Write(
                offset, body.asSlice(WriteIn.SIZE, size), body.get(INT, WriteIn.WRITE_FLAGS));
    }

    private static boolean isRange(long offsetBytes, long sizeBytes) {
        return offsetBytes >= 0 && sizeBytes > 0 && offsetBytes <= Long.MAX_VALUE - sizeBytes;
    }

    /// The name that is looked up.
    @Nullable String name() {
        long end = 0;
        while (end < body.byteSize() && body.get(ValueLayout.JAVA_BYTE, end) != 0) {
            end++;
        }
        if (end == 0 || end == body.byteSize() || end > MAX_NAME_BYTES) {
            return null;
        }
        byte[] name = body.asSlice(0, end).toArray(ValueLayout.JAVA_BYTE);
        return new String(name, StandardCharsets.ISO_8859_1);
    }

    /// The kernel forgets answers to lookups.
    ///
    /// @param lookups how many
    record Forgotten(long node, long lookups) {}

    List<Forgotten> forgotten() {
        return body.byteSize() < ForgetIn.SIZE
                ? List.of()
                : List.of(new Forgotten(node, body.get(LONG, ForgetIn.NLOOKUP)));
    }

    List<Forgotten> manyForgotten() {
        List<Forgotten> all = new ArrayList<>();
        long count =
                body.byteSize() < BatchForgetIn.SIZE
                        ? 0
                        : Integer.toUnsignedLong(body.get(INT, BatchForgetIn.COUNT));
        long at = BatchForgetIn.SIZE;
        for (long i = 0; i < count && at <= body.byteSize() - ForgetOne.SIZE; i++) {
            all.add(
                    new Forgotten(
                            body.get(LONG, at + ForgetOne.NODEID),
                            body.get(LONG, at + ForgetOne.NLOOKUP)));
            at += ForgetOne.SIZE;
        }
        return all;
    }
}
