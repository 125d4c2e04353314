package dev.mdev.vfiouser;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.sys.NativeFd;

import java.lang.foreign.MemorySegment;
import java.util.List;

/// The message that a channel received last. One object for all messages of a channel.
final class Message {
    private final MemorySegment memory;
    private List<NativeFd> fds = List.of();
    private long bodyBytes;

    /// @param memory holds the longest message
    Message(MemorySegment memory) {
        this.memory = memory;
    }

    /// Starts over with a received header.
    ///
    /// @return whether the header is one
    boolean begin(List<NativeFd> itsFds) {
        closeFds();
        fds = itsFds;
        long sizeBytes = Wire.u32(memory, Wire.SIZE);
        bodyBytes = sizeBytes - Wire.HEADER_BYTES;
        int type = flags() & Wire.TYPE_MASK;
        return bodyBytes >= 0
                && sizeBytes <= Wire.MAX_MESSAGE_BYTES
                && (type == Wire.TYPE_COMMAND || type == Wire.TYPE_REPLY);
    }

    int id() {
        return Wire.u16(memory, Wire.ID);
    }

    int command() {
        return Wire.u16(memory, Wire.COMMAND);
    }

    private int flags() {
        return (int) Wire.u32(memory, Wire.FLAGS);
    }

    boolean isReply() {
        return (flags() & Wire.TYPE_MASK) == Wire.TYPE_REPLY;
    }

    boolean wantsReply() {
        return (flags() & Wire.FLAG_NO_REPLY) == 0;
    }

    /// The error number of a reply, 0 if it is none.
    int error() {
        if ((flags() & Wire.FLAG_ERROR) == 0) {
            return 0;
        }
        int errno = (int) Wire.u32(memory, Wire.ERROR);
        return errno == 0 ? Errno.EIO.code() : errno;
    }

    long bodyBytes() {
        return bodyBytes;
    }

    /// @throws MdevException EINVAL if the body is shorter
    void require(long atLeastBytes) {
        if (bodyBytes < atLeastBytes) {
            throw new MdevException(
                    Errno.EINVAL,
                    "too short: command=%d bodyBytes=%d needs=%d"
                            .formatted(command(), bodyBytes, atLeastBytes));
        }
    }

    /// A number of the body, by its offset there; [#require] comes first.
    long u32(long offset) {
        return Wire.u32(memory, Wire.HEADER_BYTES + offset);
    }

    long u64(long offset) {
        return Wire.u64(memory, Wire.HEADER_BYTES + offset);
    }

    int u16(long offset) {
        return Wire.u16(memory, Wire.HEADER_BYTES + offset);
    }

    /// The memory of the whole message; the body begins after the header.
    MemorySegment memory() {
        return memory;
    }

    /// Where a byte of the body is in [#memory].
    static long inMemory(long bodyOffset) {
        return Wire.HEADER_BYTES + bodyOffset;
    }

    int fdCount() {
        return fds.size();
    }

    /// The descriptors that came with it; now the caller's.
    List<NativeFd> takeFds() {
        List<NativeFd> taken = fds;
        fds = List.of();
        return taken;
    }

    /// Closes the descriptors that nobody took.
    void closeFds() {
        if (!fds.isEmpty()) {
            fds.forEach(NativeFd::close);
            fds = List.of();
        }
    }
}
