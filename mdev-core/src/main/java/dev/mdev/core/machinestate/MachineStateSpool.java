package dev.mdev.core.machinestate;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;

/// Sections in a file, for a while: so the machine stands still only as long as a copy to the file
/// takes, however slowly the stream's reader reads. The file has no name: nobody else can open it,
/// and its content is gone with this process, however that ends. One thread at a time.
public final class MachineStateSpool implements AutoCloseable {
    private static final int BUFFER_BYTES = 1 << 16;
    private static final int PREFIX_BYTES = 1 + Integer.BYTES;

    private final long maxBytes;
    private final FileChannel file;
    private final DataOutputStream out;
    private long usedBytes;

    /// Makes an empty file in the folder for temporary files.
    ///
    /// @param maxBytes the most that it takes
    /// @throws MdevException EIO or ENOSPC if there can be no such file
    public MachineStateSpool(long maxBytes) {
        this.maxBytes = maxBytes;
        try {
            // Only its owner can read it.
            Path path = Files.createTempFile("mdev-machine", ".spool");
            try {
                file =
                        FileChannel.open(
                                path, Set.of(StandardOpenOption.READ, StandardOpenOption.WRITE));
            } finally {
                Files.delete(path);
            }
        } catch (IOException e) {
            throw failed(e);
        }
        OutputStream buffered =
                new BufferedOutputStream(Channels.newOutputStream(file), BUFFER_BYTES);
        out = new DataOutputStream(buffered);
    }

    /// Not the stream's failure, but the host's.
    private static MdevException failed(IOException e) {
        boolean full = String.valueOf(e.getMessage()).contains("No space");
        return new MdevException(
                full ? Errno.ENOSPC : Errno.EIO, "the file of a machine's save: " + e, e);
    }

    /// Writes sections to the file from now on. It throws [MdevException]: EFBIG for more than the
    /// limit, EIO or ENOSPC if the file fails.
    public MachineStateWriter writer() {
        return new MachineStateWriter(this::add);
    }

    private void add(int tag, byte[] payload, int length) {
        if (PREFIX_BYTES + length > maxBytes - usedBytes) {
            throw new MdevException(
                    Errno.EFBIG,
                    "more to save while the machine stands still than %d bytes"
                            .formatted(maxBytes));
        }
        usedBytes += PREFIX_BYTES + length;
        try {
            out.writeByte(tag);
            out.writeInt(length);
            out.write(payload, 0, length);
        } catch (IOException e) {
            throw failed(e);
        }
    }

    /// Passes all sections on.
    ///
    /// @throws IOException if the sink does
    void replay(SectionSink sink) throws IOException {
        DataInputStream sections = fromTheStart();
        long left = usedBytes;
        while (left > 0) {
            int tag;
            byte[] payload;
            try {
                tag = sections.readUnsignedByte();
                payload = new byte[sections.readInt()];
                sections.readFully(payload);
            } catch (IOException e) {
                throw failed(e);
            }
            left -= PREFIX_BYTES + payload.length;
            sink.section(tag, payload, payload.length);
        }
    }

    private DataInputStream fromTheStart() {
        try {
            out.flush();
            file.position(0);
        } catch (IOException e) {
            throw failed(e);
        }
        return new DataInputStream(
                new BufferedInputStream(Channels.newInputStream(file), BUFFER_BYTES));
    }

    /// Its content is gone.
    @Override
    public void close() {
        try {
            file.close();
        } catch (IOException e) {
            throw failed(e);
        }
    }
}
