package dev.mdev.gate;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// The log of a service in another process, from which a test learns that it has started, and at
/// which port.
///
/// One thread uses it.
public final class ServiceLog {
    /// The line that names the port.
    private static final Pattern READY =
            Pattern.compile("is ready: .* at 127\\.0\\.0\\.1:([0-9]+),");

    private static final int LOOK_MILLIS = 50;

    private final Process process;
    private final Path file;
    private final long formerBytes;

    /// @param file what the process writes to
    /// @param formerBytes the length of the file before the process started
    public ServiceLog(Process process, Path file, long formerBytes) {
        this.process = process;
        this.file = file;
        this.formerBytes = formerBytes;
    }

    /// Waits until the log names the port.
    ///
    /// @throws AssertionError with the log, if the process ends before, or [Deadlines#HANG] passes
    public int awaitPort() throws IOException, InterruptedException {
        int[] port = new int[1];
        await(() -> {
            Matcher ready = READY.matcher(text());
            boolean isReady = ready.find();
            if (isReady) {
                port[0] = Integer.parseInt(ready.group(1));
            }
            return isReady;
        });
        return port[0];
    }

    /// Waits until a service that has a port is ready.
    ///
    /// @throws AssertionError with the log, if the process ends before, or [Deadlines#HANG] passes
    public void await(BooleanSupplier isReady) throws IOException, InterruptedException {
        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        while (!isReady.getAsBoolean()) {
            if (process.waitFor(LOOK_MILLIS, TimeUnit.MILLISECONDS)
                    || System.nanoTime() - end > 0) {
                throw new AssertionError("the service did not start:\n" + Files.readString(file));
            }
        }
    }

    private String text() {
        try {
            byte[] bytes = Files.readAllBytes(file);
            int from = (int) Math.min(formerBytes, bytes.length);
            return new String(bytes, from, bytes.length - from, ISO_8859_1);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
