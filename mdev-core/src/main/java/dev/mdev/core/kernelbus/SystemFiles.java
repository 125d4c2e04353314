package dev.mdev.core.kernelbus;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.sys.FileAbi;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/// The files of this machine.
final class SystemFiles implements KernelFiles {
    private static final int MAX_BYTES = 64 << 10;

    @Override
    public List<String> list(String folder) {
        try (Stream<Path> files = Files.list(Path.of(folder))) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        } catch (NoSuchFileException | NotDirectoryException e) {
            return List.of();
        } catch (AccessDeniedException e) {
            throw new MdevException(Errno.EACCES, "list folder=" + folder, e);
        } catch (IOException e) {
            throw new MdevException(Errno.EIO, "list folder=%s: %s".formatted(folder, e), e);
        }
    }

    @Override
    public boolean exists(String path) {
        return Files.exists(Path.of(path));
    }

    @Override
    public Optional<String> link(String path) {
        try {
            return Optional.of(Files.readSymbolicLink(Path.of(path)).toString());
        } catch (IOException | UnsupportedOperationException e) {
            // No link, or a process or device that has just ended.
            return Optional.empty();
        }
    }

    @Override
    public String read(String path) {
        Syscalls sys = Syscalls.ofThisProcess();
        try (NativeFd fd = sys.open(path, FileAbi.O_RDONLY);
                Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(MAX_BYTES);
            long length = 0;
            while (length < MAX_BYTES) {
                long now =
                        sys.libc().read(fd.number(), buffer.address() + length, MAX_BYTES - length);
                if (now < 0) {
                    throw Syscalls.failure(sys.libc().errno(), "read path=" + path);
                }
                if (now == 0) {
                    break;
                }
                length += now;
            }
            byte[] bytes = buffer.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE);
            return new String(bytes, StandardCharsets.UTF_8).stripTrailing();
        }
    }

    @Override
    public void write(String path, String text) {
        Syscalls sys = Syscalls.ofThisProcess();
        try (NativeFd fd = sys.open(path, FileAbi.O_WRONLY);
                Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocateFrom(text);
            long length = bytes.byteSize() - 1;
            long written = sys.libc().write(fd.number(), bytes.address(), length);
            if (written < 0) {
                throw Syscalls.failure(sys.libc().errno(), "write path=" + path);
            }
            if (written != length) {
                throw new MdevException(
                        Errno.EIO,
                        "write path=%s: %d of %d bytes".formatted(path, written, length));
            }
        }
    }

    @Override
    public void writeAside(String path, String text) {
        ProcessBuilder shell =
                new ProcessBuilder("/bin/sh", "-c", "printf %s \"$1\" >\"$0\"", path, text)
                        .redirectErrorStream(true);
        shell.environment().clear();
        try {
            Process process = shell.start();
            process.getOutputStream().close();
            String said =
                    new String(
                                    process.getInputStream().readNBytes(MAX_BYTES),
                                    StandardCharsets.UTF_8)
                            .strip();
            if (process.waitFor() != 0) {
                throw new MdevException(Errno.EIO, "write path=%s: %s".formatted(path, said));
            }
        } catch (IOException e) {
            throw new MdevException(Errno.EIO, "cannot start a process to write path=" + path, e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new MdevException(Errno.EINTR, "interrupted: write path=" + path, e);
        }
    }

    @Override
    public BusMessages listen() {
        return new UeventMessages(Syscalls.ofThisProcess());
    }
}
