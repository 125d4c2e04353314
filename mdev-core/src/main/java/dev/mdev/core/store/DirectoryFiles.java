package dev.mdev.core.store;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Stream;

/// Files in a directory of a POSIX system, which one process uses at a time.
public final class DirectoryFiles implements StateFiles {
    private static final String LOCK_FILE = "lock";

    private final Path directory;
    private final FileChannel lockChannel;

    private final ReentrantLock channels = new ReentrantLock();

    /// Files that were appended to, open.
    @GuardedBy("channels")
    private final Map<String, FileChannel> open = new HashMap<>();

    @GuardedBy("channels")
    private boolean closed;

    /// Opens a directory, and makes it if it is not there.
    ///
    /// @throws MdevException EBUSY if another process, or this one, has it open
    public DirectoryFiles(Path directory) {
        this.directory = directory;
        try {
            Files.createDirectories(directory);
            lockChannel =
                    FileChannel.open(
                            directory.resolve(LOCK_FILE),
                            StandardOpenOption.CREATE,
                            StandardOpenOption.WRITE);
        } catch (IOException e) {
            throw translate("open", directory.toString(), e);
        }
        try {
            FileLock lock = lockChannel.tryLock();
            if (lock == null) {
                throw inUse(directory);
            }
        } catch (OverlappingFileLockException e) {
            throw closing(inUse(directory));
        } catch (IOException e) {
            throw closing(translate("lock", directory.toString(), e));
        } catch (MdevException e) {
            throw closing(e);
        }
    }

    private static MdevException inUse(Path directory) {
        return new MdevException(Errno.EBUSY, "directory=%s is in use".formatted(directory));
    }

    private MdevException closing(MdevException because) {
        try {
            lockChannel.close();
        } catch (IOException e) {
            because.addSuppressed(e);
        }
        return because;
    }

    @Override
    public List<String> list() {
        try (Stream<Path> entries = Files.list(directory)) {
            return entries.filter(Files::isRegularFile)
                    .map(path -> path.getFileName().toString())
                    .filter(name -> !name.equals(LOCK_FILE))
                    .toList();
        } catch (IOException e) {
            throw translate("list", directory.toString(), e);
        }
    }

    @Override
    public Optional<byte[]> read(String name, int maxBytes) {
        Path path = pathOf(name);
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            long sizeBytes = channel.size();
            if (sizeBytes > maxBytes) {
                throw new MdevException(
                        Errno.EFBIG, "file=%s sizeBytes=%d".formatted(path, sizeBytes));
            }
            ByteBuffer content = ByteBuffer.allocate((int) sizeBytes);
            while (content.hasRemaining() && channel.read(content) >= 0) {
                // A file may be delivered in pieces.
            }
            byte[] bytes = new byte[content.position()];
            content.flip().get(bytes);
            return Optional.of(bytes);
        } catch (NoSuchFileException e) {
            return Optional.empty();
        } catch (IOException e) {
            throw translate("read", name, e);
        }
    }

    @Override
    public void write(String name, byte[] content) {
        Path path = pathOf(name);
        channels.lock();
        try {
            requireOpenLocked();
            forgetLocked(name);
            try (FileChannel channel =
                    FileChannel.open(
                            path,
                            StandardOpenOption.CREATE,
                            StandardOpenOption.TRUNCATE_EXISTING,
                            StandardOpenOption.WRITE)) {
                writeAll(channel, content);
                channel.force(true);
            }
            syncNames();
        } catch (IOException e) {
            throw translate("write", name, e);
        } finally {
            channels.unlock();
        }
    }

    @Override
    public void append(String name, byte[] bytes, boolean durable) {
        Path path = pathOf(name);
        channels.lock();
        try {
            requireOpenLocked();
            FileChannel channel = open.get(name);
            boolean fresh = false;
            if (channel == null) {
                fresh = !Files.exists(path);
                channel =
                        FileChannel.open(
                                path, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
                open.put(name, channel);
            }
            writeAll(channel, bytes);
            if (durable) {
                channel.force(true);
            }
            if (fresh) {
                syncNames();
            }
        } catch (IOException e) {
            throw translate("append to", name, e);
        } finally {
            channels.unlock();
        }
    }

    private static void writeAll(FileChannel channel, byte[] bytes) throws IOException {
        ByteBuffer rest = ByteBuffer.wrap(bytes);
        while (rest.hasRemaining()) {
            channel.write(rest);
        }
    }

    @Override
    public void rename(String from, String to) {
        Path source = pathOf(from);
        Path target = pathOf(to);
        channels.lock();
        try {
            requireOpenLocked();
            forgetLocked(from);
            forgetLocked(to);
            Files.move(source, target, StandardCopyOption.ATOMIC_MOVE);
            syncNames();
        } catch (IOException e) {
            throw translate("rename", from, e);
        } finally {
            channels.unlock();
        }
    }

    @Override
    public void delete(String name) {
        Path path = pathOf(name);
        channels.lock();
        try {
            requireOpenLocked();
            forgetLocked(name);
            if (Files.deleteIfExists(path)) {
                syncNames();
            }
        } catch (IOException e) {
            throw translate("delete", name, e);
        } finally {
            channels.unlock();
        }
    }

    private Path pathOf(String name) {
        if (name.equals(LOCK_FILE)) {
            throw new MdevException(Errno.EINVAL, "the name is taken: name=" + name);
        }
        return directory.resolve(StateFiles.checkName(name));
    }

    /// Makes names durable: on Linux, `fsync` of the directory.
    private void syncNames() throws IOException {
        try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }

    @GuardedBy("channels")
    private void requireOpenLocked() {
        if (closed) {
            throw new MdevException(Errno.ESHUTDOWN, "directory=%s is closed".formatted(directory));
        }
    }

    @GuardedBy("channels")
    private void forgetLocked(String name) throws IOException {
        FileChannel channel = open.remove(name);
        if (channel != null) {
            channel.close();
        }
    }

    private MdevException translate(String verb, String name, IOException e) {
        Errno errno = e instanceof AccessDeniedException ? Errno.EACCES : errnoOf(e);
        return new MdevException(
                errno, "cannot %s %s in directory=%s: %s".formatted(verb, name, directory, e), e);
    }

    /// Java has no type for these: the system's words are all there is.
    private static Errno errnoOf(IOException e) {
        String reason = e instanceof FileSystemException fse ? fse.getReason() : e.getMessage();
        String words = reason == null ? "" : reason.toLowerCase(Locale.ROOT);
        for (Errno errno : List.of(Errno.ENOSPC, Errno.EDQUOT, Errno.EFBIG, Errno.ENOTDIR)) {
            if (words.contains(errno.text().toLowerCase(Locale.ROOT))) {
                return errno;
            }
        }
        return Errno.EIO;
    }

    @Override
    public void close() {
        channels.lock();
        try {
            if (closed) {
                return;
            }
            closed = true;
            for (FileChannel channel : open.values()) {
                channel.close();
            }
            open.clear();
            lockChannel.close();
        } catch (IOException e) {
            throw translate("close", "files", e);
        } finally {
            channels.unlock();
        }
    }
}
