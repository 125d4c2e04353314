package dev.mdev.host.problem;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.driver.DriverException;

import java.io.IOException;

/// What the failures of a stream from a client mean.
public final class StreamProblems {
    private StreamProblems() {}

    /// Reads a stream.
    @FunctionalInterface
    public interface Reading<T> {
        T run() throws IOException;
    }

    /// Runs `reading`: a stream that is malformed or ends early is the client's mistake.
    ///
    /// @throws ProblemException if so
    /// @throws IOException if the stream is too large or comes too slowly
    public static <T> T read(Reading<T> reading) throws IOException {
        try {
            return reading.run();
        } catch (MdevException e) {
            if (e.errno() == Errno.EPROTO && !(e instanceof DriverException)) {
                throw malformed(e.getMessage());
            }
            throw e;
        } catch (ContentTooLargeException | TransferTooLongException e) {
            throw e;
        } catch (IOException e) {
            throw malformed("the state cannot be read to its end: " + e);
        }
    }

    private static ProblemException malformed(String what) {
        return new ProblemException(Problem.MALFORMED, what);
    }
}
