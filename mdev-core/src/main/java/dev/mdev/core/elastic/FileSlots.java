package dev.mdev.core.elastic;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;

import java.io.EOFException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;

/// Slots in a sparse file. The file has no name once it is open: nobody else can open it, and its
/// content is gone with this process, however that ends.
///
/// This is no channel: an interrupt closes a channel, and the thread that writes a page away works
/// for another device.
final class FileSlots implements SlotStore {
    @GuardedBy("this")
    private final RandomAccessFile file;

    FileSlots(Path folder) {
        try {
            Files.createDirectories(folder);
            // Only its owner can read it.
            Path path = Files.createTempFile(folder, "elastic-", ".tmp");
            try {
                file = new RandomAccessFile(path.toFile(), "rw");
            } finally {
                Files.delete(path);
            }
        } catch (IOException e) {
            throw new MdevException(Errno.EIO, "no backing store: " + e, e);
        }
    }

    @Override
    public synchronized void write(long page, byte[] bytes, int offset) {
        try {
            file.seek(Page.addressOf(page));
            file.write(bytes, offset, Page.SIZE);
        } catch (IOException e) {
            String text = String.valueOf(e.getMessage());
            Errno errno = text.contains("No space") ? Errno.ENOSPC : Errno.EIO;
            throw new MdevException(errno, "the backing store takes no page: " + e, e);
        }
    }

    @Override
    public synchronized void read(long page, byte[] bytes, int offset) {
        try {
            file.seek(Page.addressOf(page));
            file.readFully(bytes, offset, Page.SIZE);
        } catch (EOFException e) {
            throw new MdevException(Errno.EIO, "the backing store ends before page=" + page, e);
        } catch (IOException e) {
            throw new MdevException(Errno.EIO, "the backing store returns no page: " + e, e);
        }
    }

    /// The slot is written again, or goes with the file.
    @Override
    public void drop(long page) {}

    @Override
    public synchronized void close() {
        try {
            file.close();
        } catch (IOException e) {
            throw new MdevException(Errno.EIO, "the backing store does not close: " + e, e);
        }
    }
}
