package dev.mdev.vfiouser;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;
import dev.mdev.core.sys.UnixStream;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;

/// A client that speaks raw bytes. One thread uses it.
final class VfioUserClient implements AutoCloseable {
    static final int COMMAND = 0;
    static final int REPLY = 1;
    static final int NO_REPLY = 0x10;
    static final int ERROR = 0x20;
    private static final int HEADER = 16;
    private static final int ROOM = 2 << 20;

    final UnixStream stream;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment out = arena.allocate(ROOM);
    private final MemorySegment in = arena.allocate(ROOM);
    private int nextId = 7;

    VfioUserClient(Path path) {
        stream = UnixStream.connect(Syscalls.ofThisProcess(), path);
    }

    /// A connected client that has agreed on version 0.0.
    static VfioUserClient negotiated(Path path) {
        VfioUserClient client = new VfioUserClient(path);
        Message reply = client.ask(1, version(0, 0, "{\"capabilities\":{}}"));
        assertThat(reply.errno()).isZero();
        return client;
    }

    /// A received message.
    @SuppressWarnings("ArrayRecordComponent") // raw bytes, which no test compares as a record
    record Message(int id, int command, int flags, int errno, byte[] body, List<NativeFd> fds) {
        ByteBuffer buffer() {
            return ByteBuffer.wrap(body).order(ByteOrder.LITTLE_ENDIAN);
        }
    }

    /// A body that is built piece by piece.
    static final class Body {
        private ByteBuffer bytes = ByteBuffer.allocate(256).order(ByteOrder.LITTLE_ENDIAN);

        private ByteBuffer room(int length) {
            if (bytes.remaining() < length) {
                bytes =
                        ByteBuffer.allocate(2 * (bytes.position() + length))
                                .order(ByteOrder.LITTLE_ENDIAN)
                                .put(bytes.flip());
            }
            return bytes;
        }

        Body u16(int... values) {
            for (int value : values) {
                room(Short.BYTES).putShort((short) value);
            }
            return this;
        }

        Body u32(long... values) {
            for (long value : values) {
                room(Integer.BYTES).putInt((int) value);
            }
            return this;
        }

        Body u64(long... values) {
            for (long value : values) {
                room(Long.BYTES).putLong(value);
            }
            return this;
        }

        Body bytes(byte... values) {
            room(values.length).put(values);
            return this;
        }

        byte[] done() {
            byte[] all = new byte[bytes.position()];
            bytes.flip().get(all);
            return all;
        }
    }

    static Body body() {
        return new Body();
    }

    static byte[] version(int major, int minor, String json) {
        Body body = body().u16(major, minor);
        return body.bytes(json.getBytes(StandardCharsets.UTF_8)).bytes((byte) 0).done();
    }

    void sendRaw(byte[] bytes, NativeFd... fds) {
        MemorySegment.copy(bytes, 0, out, ValueLayout.JAVA_BYTE, 0, bytes.length);
        stream.send(out.address(), bytes.length, 0, 0, List.of(fds));
    }

    static byte[] message(int id, int command, int flags, byte[] body) {
        return ByteBuffer.allocate(HEADER + body.length)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putShort((short) id)
                .putShort((short) command)
                .putInt(HEADER + body.length)
                .putInt(flags)
                .putInt(0)
                .put(body)
                .array();
    }

    void send(int id, int command, int flags, byte[] body, NativeFd... fds) {
        sendRaw(message(id, command, flags, body), fds);
    }

    /// Sends a request and takes its reply.
    Message ask(int command, byte[] body, NativeFd... fds) {
        int id = nextId++ & 0xffff;
        send(id, command, COMMAND, body, fds);
        Message reply = receive();
        if (reply == null) {
            throw new AssertionError("the server closed the connection: command=" + command);
        }
        assertThat(reply.id()).as("id of the reply").isEqualTo(id);
        assertThat(reply.command()).as("command of the reply").isEqualTo(command);
        assertThat(reply.flags() & 0xf).as("type of the reply").isEqualTo(REPLY);
        return reply;
    }

    /// The next message; null at the end of the stream.
    @Nullable Message receive() {
        if (!fill(0, HEADER)) {
            return null;
        }
        List<NativeFd> fds = stream.takeFds();
        int size = in.get(ValueLayout.JAVA_INT_UNALIGNED, 4);
        if (!fill(HEADER, size)) {
            return null;
        }
        int flags = in.get(ValueLayout.JAVA_INT_UNALIGNED, 8);
        return new Message(
                Short.toUnsignedInt(in.get(ValueLayout.JAVA_SHORT_UNALIGNED, 0)),
                Short.toUnsignedInt(in.get(ValueLayout.JAVA_SHORT_UNALIGNED, 2)),
                flags,
                (flags & ERROR) == 0 ? 0 : in.get(ValueLayout.JAVA_INT_UNALIGNED, 12),
                in.asSlice(HEADER, size - HEADER).toArray(ValueLayout.JAVA_BYTE),
                fds);
    }

    private boolean fill(long from, long to) {
        long done = from;
        while (done < to) {
            long count;
            try {
                count = stream.receive(in.address() + done, to - done, true);
            } catch (dev.mdev.api.MdevException e) {
                return false;
            }
            if (count <= 0) {
                return false;
            }
            done += count;
        }
        return true;
    }

    // Requests of one line each.

    Message read(int region, long offset, int count) {
        return ask(9, body().u64(offset).u32(region, count).done());
    }

    long readNumber(int region, long offset, int count) {
        Message reply = read(region, offset, count);
        assertThat(reply.errno()).as("errno of a read").isZero();
        assertThat(reply.body()).hasSize(16 + count);
        long value = 0;
        for (int i = count - 1; i >= 0; i--) {
            value = value << 8 | (reply.body()[16 + i] & 0xffL);
        }
        return value;
    }

    Message write(int region, long offset, int count, long value) {
        Body body = body().u64(offset).u32(region, count);
        for (int i = 0; i < count; i++) {
            body.bytes((byte) (value >>> (8 * i)));
        }
        return ask(10, body.done());
    }

    /// Turns memory decoding and bus mastering on, as a guest's firmware does.
    void enable() {
        assertThat(write(7, 4, 2, 6).errno()).isZero();
    }

    Message map(long iova, long size, int flags, long offset, NativeFd... fds) {
        return ask(2, body().u32(32, flags).u64(offset, iova, size).done(), fds);
    }

    Message unmap(long iova, long size, int flags) {
        return ask(3, body().u32(24, flags).u64(iova, size).done());
    }

    Message regionInfo(int index, int argsz) {
        return ask(5, body().u32(argsz, 0, index, 0).u64(0, 0).done());
    }

    Message irqInfo(int index) {
        return ask(7, body().u32(16, 0, index, 0).done());
    }

    Message setIrqs(int flags, int index, int start, int count, NativeFd... fds) {
        return ask(8, body().u32(20, flags, index, start, count).done(), fds);
    }

    /// Closing again does nothing.
    @Override
    public void close() {
        stream.close();
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }
}
