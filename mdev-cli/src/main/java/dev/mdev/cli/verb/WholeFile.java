package dev.mdev.cli.verb;

import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.failure.Failure;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;

/// A file that appears under its name when it is complete, and not before. Until then it has a name
/// of its own in the same folder, which goes with the end of the process, unless it is killed.
final class WholeFile implements AutoCloseable {
    private final Path target;
    private final Path part;
    private final boolean replace;
    private final FileChannel channel;
    private final OnInterrupt onInterrupt;

    private WholeFile(Path target, Path part, boolean replace, FileChannel channel) {
        this.target = target;
        this.part = part;
        this.replace = replace;
        this.channel = channel;
        this.onInterrupt = OnInterrupt.run(this::delete);
    }

    /// Begins a file.
    ///
    /// @param replace whether it may replace a file
    /// @throws Failure if there is such a file, or it cannot be written
    static WholeFile create(Path target, boolean replace) {
        if (!replace && Files.exists(target)) {
            throw exists(target);
        }
        Path part =
                target.resolveSibling(
                        ".%s.%d.part"
                                .formatted(target.getFileName(), ProcessHandle.current().pid()));
        try {
            FileChannel channel =
                    FileChannel.open(part, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
            return new WholeFile(target, part, replace, channel);
        } catch (IOException e) {
            throw failure(target, e);
        }
    }

    OutputStream bytes() {
        return Channels.newOutputStream(channel);
    }

    /// Gives the file its name, when its content is on the disk.
    void complete() {
        try {
            channel.force(true);
            channel.close();
            if (replace) {
                Files.move(part, target, StandardCopyOption.ATOMIC_MOVE);
            } else {
                Files.createLink(target, part);
            }
        } catch (FileAlreadyExistsException e) {
            throw exists(target);
        } catch (IOException e) {
            throw failure(target, e);
        }
    }

    private static Failure exists(Path target) {
        return new Failure(
                ExitCode.FAILED, "file=%s exists".formatted(target), "replace it with --force");
    }

    private static Failure failure(Path target, IOException cause) {
        return new Failure(
                ExitCode.FAILED,
                "cannot write file=%s: %s".formatted(target, cause.getClass().getSimpleName()));
    }

    private void delete() {
        try {
            channel.close();
            Files.deleteIfExists(part);
        } catch (IOException e) {
            throw failure(target, e);
        }
    }

    @Override
    public void close() {
        delete();
        onInterrupt.close();
    }
}
