package dev.mdev.core.store;

import dev.mdev.api.Errno;

import org.jspecify.annotations.Nullable;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;

/// Files that survive their process, and that may lose, of what was not made durable, what a real
/// disk may lose. All processes that are opened on one [Disk] share the content; each has its own
/// [CrashPlan].
public final class CrashingFiles implements StateFiles {
    private final Disk disk;
    private final CrashPlan plan;

    public CrashingFiles(Disk disk, CrashPlan plan) {
        this.disk = disk;
        this.plan = plan;
    }

    /// What outlives a process.
    public static final class Disk {
        private final Map<String, byte[]> files = new HashMap<>();

        /// How many bytes of a file are durable, where not all are.
        private final Map<String, Integer> durable = new HashMap<>();

        private final SplittableRandom random;

        /// If set, operations that change something fail with it.
        private volatile @Nullable Errno failure;

        private volatile boolean failsLate;
        private volatile boolean failsToSync;
        private volatile boolean failsToDelete;

        public Disk(SplittableRandom random) {
            this.random = random;
        }

        /// Lets renaming and deleting fail after it happened, as when a directory cannot be synced.
        public void failLate(boolean late) {
            failsLate = late;
        }

        /// Lets durable appending fail after the bytes were written, as when fsync(2) fails.
        public void failToSync(boolean fail) {
            failsToSync = fail;
        }

        /// Lets deleting fail, and nothing else.
        public void failToDelete(boolean fail) {
            failsToDelete = fail;
        }

        private void doneOrFail() {
            if (failsLate) {
                throw new StoreException(Errno.EIO, "the disk fails late");
            }
        }

        /// Lets every change fail, or none.
        public void failWith(@Nullable Errno errno) {
            failure = errno;
        }

        /// The host loses power: of what was appended and not made durable, any first part stays,
        /// and any last part of that may be garbage.
        public synchronized void loseWhatIsNotDurable() {
            durable.forEach((name, length) -> {
                byte[] content = files.get(name);
                if (content != null && length < content.length) {
                    int kept = random.nextInt(length, content.length + 1);
                    byte[] rest = Arrays.copyOf(content, kept);
                    if (kept > length && random.nextBoolean()) {
                        int from = random.nextInt(length, kept);
                        Arrays.fill(rest, from, kept, (byte) 0);
                    }
                    files.put(name, rest);
                }
            });
            durable.clear();
        }

        /// The content of an existing file.
        public synchronized String text(String name) {
            byte[] content = files.get(name);
            if (content == null) {
                throw new AssertionError("no file " + name + " among " + files.keySet());
            }
            return new String(content, StandardCharsets.ISO_8859_1);
        }

        public synchronized void put(String name, byte[] content) {
            files.put(name, content.clone());
        }

        public synchronized List<String> names() {
            return new ArrayList<>(files.keySet());
        }

        private void requireWorking() {
            Errno errno = failure;
            if (errno != null) {
                throw new StoreException(errno, "the disk fails");
            }
        }
    }

    @Override
    public List<String> list() {
        return disk.names();
    }

    @Override
    public Optional<byte[]> read(String name, int maxBytes) {
        synchronized (disk) {
            byte[] content = disk.files.get(name);
            if (content != null && content.length > maxBytes) {
                throw new StoreException(Errno.EFBIG, "file=" + name);
            }
            return Optional.ofNullable(content).map(byte[]::clone);
        }
    }

    @Override
    public void write(String name, byte[] content) {
        plan.step();
        synchronized (disk) {
            disk.requireWorking();
            int part = disk.random.nextInt(content.length + 1);
            disk.files.put(name, Arrays.copyOf(content, part));
        }
        plan.step();
        synchronized (disk) {
            disk.files.put(name, content.clone());
            disk.durable.remove(name);
        }
        plan.step();
    }

    @Override
    public void append(String name, byte[] bytes, boolean durable) {
        plan.step();
        synchronized (disk) {
            byte[] old = disk.files.getOrDefault(name, new byte[0]);
            boolean fails = disk.failure != null;
            int part = disk.random.nextInt(bytes.length + 1);
            byte[] torn = Arrays.copyOf(old, old.length + part);
            System.arraycopy(bytes, 0, torn, old.length, part);
            disk.files.put(name, torn);
            disk.durable.putIfAbsent(name, old.length);
            if (fails) {
                disk.requireWorking();
            }
            stepOrLeave(name, torn);
            byte[] whole = Arrays.copyOf(old, old.length + bytes.length);
            System.arraycopy(bytes, 0, whole, old.length, bytes.length);
            disk.files.put(name, whole);
            plan.step();
            if (durable && disk.failsToSync) {
                throw new StoreException(Errno.EIO, "the disk does not sync");
            }
            if (durable) {
                disk.durable.remove(name);
            }
        }
        plan.step();
    }

    /// A crash here leaves what was written so far.
    private void stepOrLeave(String name, byte[] torn) {
        disk.files.put(name, torn);
        plan.step();
    }

    @Override
    public void truncate(String name, long sizeBytes) {
        plan.step();
        synchronized (disk) {
            disk.requireWorking();
            byte[] content = disk.files.get(name);
            if (content != null && content.length > sizeBytes) {
                disk.files.put(name, Arrays.copyOf(content, (int) sizeBytes));
                disk.durable.computeIfPresent(
                        name, (_, length) -> Math.min(length, (int) sizeBytes));
            }
        }
        plan.step();
    }

    @Override
    public void rename(String from, String to) {
        plan.step();
        synchronized (disk) {
            disk.requireWorking();
            byte[] content = disk.files.remove(from);
            if (content == null) {
                throw new StoreException(Errno.ENOENT, "file=" + from);
            }
            disk.files.put(to, content);
            disk.durable.remove(to);
            disk.doneOrFail();
        }
        plan.step();
    }

    @Override
    public void delete(String name) {
        plan.step();
        synchronized (disk) {
            disk.requireWorking();
            if (disk.failsToDelete) {
                throw new StoreException(Errno.EROFS, "the disk does not delete " + name);
            }
            disk.files.remove(name);
            disk.durable.remove(name);
            disk.doneOrFail();
        }
        plan.step();
    }

    @Override
    public void close() {}
}
