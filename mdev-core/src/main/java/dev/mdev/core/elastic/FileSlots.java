package dev.mdev.core.elastic;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;

/// Slots in a sparse file. The file has no name once it is open: nobody else can open it, and its
/// content is gone with this process, however that ends.
final class FileSlots implements SlotStore {
    private final FileChannel channel;

    FileSlots(Path folder) {
        try {
            Files.createDirectories(folder);
            // Only its owner can read it.
            Path file = Files.createTempFile(folder, "elastic-", ".tmp");
            try {
                channel =
                        FileChannel.open(
                                file, Set.of(StandardOpenOption.READ, StandardOpenOption.WRITE));
            } finally {
                Files.delete(file);
            }
        } catch (IOException e) {
            throw new MdevException(Errno.EIO, "no backing store: " + e, e);
        }
    }

    @Override
    public void write(long page, byte[] bytes, int offset) {
        ByteBuffer from = ByteBuffer.wrap(bytes, offset, Page.SIZE);
        long at = Page.addressOf(page);
        try {
            while (from.hasRemaining()) {
                at += channel.write(from, at);
            }
        } catch (IOException e) {
            String text = String.valueOf(e.getMessage());
            Errno errno = text.contains("No space") ? Errno.ENOSPC : Errno.EIO;
            throw new MdevException(errno, "the backing store takes no page: " + e, e);
        }
    }

    @Override
    public void read(long page, byte[] bytes, int offset) {
        ByteBuffer to = ByteBuffer.wrap(bytes, offset, Page.SIZE);
        long at = Page.addressOf(page);
        try {
            while (to.hasRemaining()) {
                int count = channel.read(to, at);
                if (count < 0) {
                    throw new MdevException(
                            Errno.EIO, "the backing store ends before page=" + page);
                }
                at += count;
            }
        } catch (IOException e) {
            throw new MdevException(Errno.EIO, "the backing store returns no page: " + e, e);
        }
    }

    /// The slot is written again, or goes with the file.
    @Override
    public void drop(long page) {}

    @Override
    public void close() {
        try {
            channel.close();
        } catch (IOException e) {
            throw new MdevException(Errno.EIO, "the backing store does not close: " + e, e);
        }
    }
}
