package dev.mdev.core.store;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.AccessDeniedException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;

/// Files in a directory of a POSIX system, which one process uses at a time.
///
/// Other programs should not write there, but their leftovers are harmless: a symbolic link is not
/// followed, and anything except a regular file, such as a pipe, is not opened.
public final class DirectoryFiles implements StateFiles {
    private static final String LOCK_FILE = "lock";

    /// The lock files that this process has open: their devices and inodes, because a directory may
    /// have several paths. The lock belongs to the process, and the system drops it as soon as the
    /// process closes the file anywhere: a second user must not even open it (fcntl(2), "Advisory
    /// record locking").
    private static final Set<Object> OPEN = ConcurrentHashMap.newKeySet();

    private final Path directory;
    private final Object identity;
    private final FileChannel lockChannel;

    private final ReentrantLock channels = new ReentrantLock();

    /// Open files, after an append.
    @GuardedBy("channels")
    private final Map<String, FileChannel> open = new HashMap<>();

    @GuardedBy("channels")
    private boolean closed;

    /// Opens a directory, and creates it if it is absent.
    ///
    /// @throws MdevException EBUSY if another process, or this one, has it open
    public DirectoryFiles(Path directory) {
        this.directory = directory;
        try {
            Files.createDirectories(directory);
            identity = identityOf(directory.resolve(LOCK_FILE));
        } catch (IOException e) {
            throw translate("open", directory.toString(), e);
        }
        if (!OPEN.add(identity)) {
            throw inUse(directory);
        }
        try {
            lockChannel = lock();
        } catch (RuntimeException | Error e) {
            OPEN.remove(identity);
            throw e;
        }
    }

    /// Creates the lock file if it is absent.
    private Object identityOf(Path lockFile) throws IOException {
        try {
            Files.createFile(lockFile);
        } catch (FileAlreadyExistsException e) {
            // Another user has or had the directory open.
        }
        requireRegularOrNone(LOCK_FILE, lockFile);
        Object key =
                Files.readAttributes(lockFile, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS)
                        .fileKey();
        return key == null ? lockFile.toRealPath() : key;
    }

    private FileChannel lock() {
        FileChannel channel;
        try {
            channel =
                    FileChannel.open(
                            directory.resolve(LOCK_FILE),
                            StandardOpenOption.WRITE,
                            LinkOption.NOFOLLOW_LINKS);
        } catch (IOException e) {
            throw translate("open", LOCK_FILE, e);
        }
        try {
            FileLock lock = channel.tryLock();
            if (lock == null) {
                throw inUse(directory);
            }
            return channel;
        } catch (IOException e) {
            throw closing(channel, translate("lock", directory.toString(), e));
        } catch (MdevException e) {
            throw closing(channel, e);
        }
    }

    private static MdevException inUse(Path directory) {
        return new MdevException(Errno.EBUSY, "directory=%s is in use".formatted(directory));
    }

    private static MdevException closing(FileChannel channel, MdevException because) {
        try {
            channel.close();
        } catch (IOException e) {
            because.addSuppressed(e);
        }
        return because;
    }

    @Override
    public List<String> list() {
        List<String> names = new ArrayList<>();
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(directory)) {
            for (Path entry : entries) {
                if (names.size() == MAX_NAMES) {
                    throw new StoreException(
                            Errno.EFBIG,
                            "directory=%s has more than %d files".formatted(directory, MAX_NAMES));
                }
                String name = FileAlias.nameOf(entry);
                if (!name.equals(LOCK_FILE)) {
                    names.add(name);
                }
            }
            return names;
        } catch (IOException e) {
            throw translate("list", directory.toString(), e);
        } catch (DirectoryIteratorException e) {
            throw translate("list", directory.toString(), Objects.requireNonNull(e.getCause()));
        }
    }

    @Override
    public Optional<byte[]> read(String name, int maxBytes) {
        if (FileAlias.isAlias(name)) {
            throw new StoreException(Errno.EINVAL, "file=%s has an invalid name".formatted(name));
        }
        Path path = pathOf(name);
        requireRegularOrNone(name, path);
        try (FileChannel channel =
                FileChannel.open(path, StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS)) {
            long sizeBytes = channel.size();
            if (sizeBytes > maxBytes) {
                throw new StoreException(
                        Errno.EFBIG,
                        "file=%s sizeBytes=%d mostBytes=%d".formatted(path, sizeBytes, maxBytes));
            }
            ByteBuffer content = ByteBuffer.allocate((int) sizeBytes);
            while (content.hasRemaining() && channel.read(content) >= 0) {
                // A read may return a file in pieces.
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

    /// Opening a pipe blocks until another process opens its other end.
    private void requireRegularOrNone(String name, Path path) {
        try {
            if (!Files.readAttributes(path, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS)
                    .isRegularFile()) {
                throw new StoreException(
                        Errno.EINVAL, "file=%s is not a regular file".formatted(path));
            }
        } catch (NoSuchFileException e) {
            // A reader finds nothing, a writer creates it.
        } catch (IOException e) {
            throw translate("look at", name, e);
        }
    }

    @Override
    public void write(String name, byte[] content) {
        Path path = pathOf(name);
        channels.lock();
        try {
            requireOpenLocked();
            requireRegularOrNone(name, path);
            forgetLocked(name);
            try (FileChannel channel =
                    FileChannel.open(
                            path,
                            StandardOpenOption.CREATE,
                            StandardOpenOption.TRUNCATE_EXISTING,
                            StandardOpenOption.WRITE,
                            LinkOption.NOFOLLOW_LINKS)) {
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
                requireRegularOrNone(name, path);
                fresh = !Files.exists(path);
                channel =
                        FileChannel.open(
                                path,
                                StandardOpenOption.CREATE,
                                StandardOpenOption.APPEND,
                                LinkOption.NOFOLLOW_LINKS);
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

    @Override
    public void truncate(String name, long sizeBytes) {
        Path path = pathOf(name);
        channels.lock();
        try {
            requireOpenLocked();
            requireRegularOrNone(name, path);
            forgetLocked(name);
            try (FileChannel channel =
                    FileChannel.open(path, StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS)) {
                channel.truncate(sizeBytes);
                channel.force(true);
            }
        } catch (IOException e) {
            throw translate("truncate", name, e);
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
        channels.lock();
        try {
            requireOpenLocked();
            Optional<Path> path =
                    FileAlias.isAlias(name)
                            ? FileAlias.find(directory, name)
                            : Optional.of(pathOf(name));
            forgetLocked(name);
            if (path.isPresent() && Files.deleteIfExists(path.get())) {
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

    private StoreException translate(String verb, String name, IOException e) {
        Errno errno = e instanceof AccessDeniedException ? Errno.EACCES : errnoOf(e);
        return new StoreException(
                errno, "cannot %s %s in directory=%s: %s".formatted(verb, name, directory, e), e);
    }

    /// Java has no type for these, so this compares the system's text.
    private static Errno errnoOf(IOException e) {
        String reason = e instanceof FileSystemException fse ? fse.getReason() : e.getMessage();
        String words = reason == null ? "" : reason.toLowerCase(Locale.ROOT);
        for (Errno errno :
                List.of(Errno.ENOSPC, Errno.EDQUOT, Errno.EFBIG, Errno.EROFS, Errno.ENOTDIR)) {
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
            OPEN.remove(identity);
        } catch (IOException e) {
            throw translate("close", "files", e);
        } finally {
            channels.unlock();
        }
    }
}
