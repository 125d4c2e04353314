package dev.mdev.testkit;

import dev.mdev.api.DeviceState;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;

/// The saved bytes of a driver, up to the host's limit.
final class SavedBytes extends OutputStream {
    private final InMemoryHost host;
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

    SavedBytes(InMemoryHost host) {
        this.host = host;
    }

    @Override
    public void write(int value) throws IOException {
        requireRoom(1);
        bytes.write(value);
    }

    @Override
    public void write(byte[] values, int offset, int length) throws IOException {
        requireRoom(length);
        bytes.write(values, offset, length);
    }

    private void requireRoom(int length) throws IOException {
        if (length > DeviceState.MAX_BYTES - bytes.size()) {
            // On record, even if the driver swallows the exception.
            throw new IOException(
                    host.violation(
                            "the state has more than %d bytes".formatted(DeviceState.MAX_BYTES)));
        }
    }

    byte[] toByteArray() {
        return bytes.toByteArray();
    }
}
