package dev.mdev.vfiouser;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// Bytes between the thread that saves or restores a device and the session's thread. Holds a
/// bounded number of them; each side waits for the other.
final class StatePipe {
    private static final int ROOM = 1 << 20;

    private final byte[] ring = new byte[ROOM];
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();

    @GuardedBy("lock")
    private long written;

    @GuardedBy("lock")
    private long read;

    /// No byte follows.
    @GuardedBy("lock")
    private boolean ended;

    /// Nobody reads any more, or the writer failed.
    @GuardedBy("lock")
    private boolean broken;

    /// Reads up to `length` bytes: fewer only at the end.
    ///
    /// @throws IOException if the pipe is broken, or the writer takes longer than `nanos`
    int read(byte[] into, int offset, int length, long nanos) throws IOException {
        lock.lock();
        try {
            int done = 0;
            long rest = nanos;
            while (done < length) {
                while (read == written && !ended && !broken) {
                    if (rest <= 0) {
                        throw new IOException("the other side takes too long");
                    }
                    rest = changed.awaitNanos(rest);
                }
                requireWhole();
                int count = (int) Math.min(length - done, written - read);
                if (count == 0) {
                    return done;
                }
                for (int i = 0; i < count; i++) {
                    into[offset + done + i] = ring[(int) ((read + i) % ROOM)];
                }
                read += count;
                done += count;
                changed.signalAll();
            }
            return done;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        } finally {
            lock.unlock();
        }
    }

    /// Writes all the bytes.
    ///
    /// @throws IOException if the pipe is broken, or the reader takes longer than `nanos`
    void write(byte[] from, int offset, int length, long nanos) throws IOException {
        lock.lock();
        try {
            int done = 0;
            long rest = nanos;
            while (done < length) {
                while (written - read == ROOM && !broken) {
                    if (rest <= 0) {
                        throw new IOException("the other side takes too long");
                    }
                    rest = changed.awaitNanos(rest);
                }
                requireWhole();
                int count = (int) Math.min(length - done, ROOM - (written - read));
                for (int i = 0; i < count; i++) {
                    ring[(int) ((written + i) % ROOM)] = from[offset + done + i];
                }
                written += count;
                done += count;
                changed.signalAll();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private void requireWhole() throws IOException {
        if (broken) {
            throw new IOException("the other side has given up");
        }
    }

    /// The writer is done.
    void end() {
        lock.lock();
        try {
            ended = true;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /// One side gives up.
    void abort() {
        lock.lock();
        try {
            broken = true;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /// The writing end, without a limit of time.
    OutputStream output() {
        return new OutputStream() {
            @Override
            public void write(int b) throws IOException {
                write(new byte[] {(byte) b}, 0, 1);
            }

            @Override
            public void write(byte[] b, int offset, int length) throws IOException {
                StatePipe.this.write(b, offset, length, TimeUnit.DAYS.toNanos(1));
            }
        };
    }

    /// The reading end, without a limit of time.
    InputStream input() {
        return new InputStream() {
            @Override
            public int read() throws IOException {
                byte[] one = new byte[1];
                return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
            }

            @Override
            public int read(byte[] b, int offset, int length) throws IOException {
                int count = StatePipe.this.read(b, offset, length, TimeUnit.DAYS.toNanos(1));
                return count == 0 && length > 0 ? -1 : count;
            }
        };
    }
}
