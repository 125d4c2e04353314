package dev.mdev.core.machinestate;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/// Sections in a file, for a while: so the machine stands still only as long as a copy to the file
/// takes, however slowly the stream's reader reads. One thread at a time.
public final class MachineStateSpool implements AutoCloseable {
    private final Path file;
    private final DataOutputStream out;

    /// Makes an empty file in the folder for temporary files.
    public MachineStateSpool() throws IOException {
        file = Files.createTempFile("mdev-machine", ".spool");
        out =
                new DataOutputStream(
                        new BufferedOutputStream(
                                Files.newOutputStream(file, StandardOpenOption.WRITE), 1 << 16));
    }

    /// Writes sections to the file from now on.
    public MachineStateWriter writer() {
        return new MachineStateWriter(this::add);
    }

    private void add(int tag, byte[] payload, int length) throws IOException {
        out.writeByte(tag);
        out.writeInt(length);
        out.write(payload, 0, length);
    }

    /// Passes all sections on.
    void replay(SectionSink sink) throws IOException {
        out.flush();
        try (InputStream in = Files.newInputStream(file);
                DataInputStream sections =
                        new DataInputStream(new BufferedInputStream(in, 1 << 16))) {
            for (int tag = sections.read(); tag >= 0; tag = sections.read()) {
                byte[] payload = new byte[sections.readInt()];
                sections.readFully(payload);
                sink.section(tag, payload, payload.length);
            }
        }
    }

    @Override
    public void close() throws IOException {
        try (out) {
            Files.deleteIfExists(file);
        }
    }
}
