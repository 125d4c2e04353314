package dev.mdev.vfiouser;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/// The first exchange of a connection: the version, and what each side can do.
///
/// @param minor the version that both sides speak, 0.0 or 0.1
/// @param maxDataBytes the most that one message may transfer, as the client says
record Version(int minor, long maxDataBytes) {
    private static final int FIXED_BYTES = 4;
    private static final int MINOR = 1;
    private static final long MAX_FDS = 1024;

    /// Short: QEMU takes no reply that is longer than its own request.
    private static final String CAPABILITIES =
            ("{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":%d,"
                            + "\"pgsizes\":4096,\"migration\":{\"pgsize\":4096},"
                            + "\"write_multiple\":true}}")
                    .formatted(Wire.MAX_DATA_BYTES);

    /// Whether the client waits for all the bytes of a read even if it fails: that of
    /// cloud-hypervisor does.
    boolean readsNeverFail() {
        return minor == MINOR;
    }

    /// Reads a client's proposal.
    ///
    /// @throws MdevException EINVAL if it is no version that is spoken here, or malformed
    static Version of(Message request) {
        request.require(FIXED_BYTES);
        int major = request.u16(0);
        if (request.command() != Command.VERSION.number()
                || request.isReply()
                || request.fdCount() != 0
                || major != 0) {
            throw new MdevException(
                    Errno.EINVAL,
                    "not a version: command=%d major=%d".formatted(request.command(), major));
        }
        int minor = Math.min(request.u16(2), MINOR);
        return new Version(minor, maxDataBytes(request));
    }

    private static long maxDataBytes(Message request) {
        long length = request.bodyBytes() - FIXED_BYTES;
        if (length == 0) {
            return Wire.MAX_DATA_BYTES;
        }
        byte[] json =
                request.memory()
                        .asSlice(Message.inMemory(FIXED_BYTES), length)
                        .toArray(ValueLayout.JAVA_BYTE);
        if (json[json.length - 1] != 0) {
            throw new MdevException(Errno.EINVAL, "the text of the version has no end");
        }
        Object all = JsonText.object(text(json)).getOrDefault("capabilities", Map.of());
        Map<?, ?> capabilities = mapOf(all, "capabilities");
        var _ = number(capabilities, "max_msg_fds", 1, MAX_FDS);
        Object migration = capabilities.get("migration");
        if (migration != null) {
            long pageBytes = number(mapOf(migration, "migration"), "pgsize", 0, Long.MAX_VALUE);
            if (!Page.isAligned(pageBytes)) {
                throw new MdevException(Errno.EINVAL, "migration.pgsize=" + pageBytes);
            }
        }
        return number(capabilities, "max_data_xfer_size", Wire.MAX_DATA_BYTES, Long.MAX_VALUE);
    }

    private static String text(byte[] json) {
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(json, 0, json.length - 1))
                    .toString();
        } catch (CharacterCodingException e) {
            throw new MdevException(Errno.EINVAL, "the text of the version is not UTF-8", e);
        }
    }

    private static Map<?, ?> mapOf(Object value, String name) {
        if (value instanceof Map<?, ?> map) {
            return map;
        }
        throw new MdevException(Errno.EINVAL, name + " is no object");
    }

    private static long number(Map<?, ?> from, String name, long otherwise, long limit) {
        Object value = from.get(name);
        if (value == null) {
            return otherwise;
        }
        if (value instanceof Long number && number >= 0 && number <= limit) {
            return number;
        }
        throw new MdevException(Errno.EINVAL, "%s=%s".formatted(name, value));
    }

    /// Writes the answer.
    ///
    /// @return the length of the body
    long write(MemorySegment reply) {
        byte[] json = CAPABILITIES.getBytes(StandardCharsets.UTF_8);
        long at = Wire.HEADER_BYTES;
        Wire.u16(reply, at, 0);
        Wire.u16(reply, at + 2, minor);
        MemorySegment.copy(json, 0, reply, ValueLayout.JAVA_BYTE, at + FIXED_BYTES, json.length);
        reply.set(ValueLayout.JAVA_BYTE, at + FIXED_BYTES + json.length, (byte) 0);
        return FIXED_BYTES + json.length + 1L;
    }
}
