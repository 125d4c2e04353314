package dev.mdev.pcisplit.function;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/// The interrupts of a function that is bound to the kernel's driver `uio_pci_generic` (Linux
/// `drivers/uio/uio_pci_generic.c`): a read of its file waits for the next one. When one comes, the
/// kernel masks the function's line, until [#unmask].
public final class UioInterrupts implements AutoCloseable {
    private final PciFunction function;
    private final Path file;
    private final FileChannel channel;
    private final ByteBuffer count = ByteBuffer.allocate(Integer.BYTES);

    private UioInterrupts(PciFunction function, Path file, FileChannel channel) {
        this.function = function;
        this.file = file;
        this.channel = channel;
    }

    /// @param file such as `/dev/uio0`
    /// @throws MdevException EIO if it cannot be opened
    public static UioInterrupts open(PciFunction function, Path file) {
        try {
            return new UioInterrupts(
                    function,
                    file,
                    FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE));
        } catch (IOException e) {
            throw new MdevException(Errno.EIO, "cannot open %s: %s".formatted(file, e), e);
        }
    }

    /// Lets the function interrupt.
    ///
    /// @throws MdevException EIO if its command register cannot be written, ENODEV if it is gone
    public void unmask() {
        function.unmaskLine();
    }

    /// Waits for an interrupt since the last one. One thread waits; it holds no lock.
    ///
    /// @return false after [#close]
    /// @throws MdevException EIO if none comes any more: the function has no line, or is gone
    public boolean await() {
        try {
            count.clear();
            if (channel.read(count) == Integer.BYTES) {
                return true;
            }
            throw new MdevException(Errno.EIO, "no interrupts come from " + file);
        } catch (ClosedChannelException e) {
            return false;
        } catch (IOException e) {
            throw new MdevException(
                    Errno.EIO, "no interrupts come from %s: %s".formatted(file, e), e);
        }
    }

    /// Ends the wait. Any thread.
    @Override
    public void close() {
        try {
            channel.close();
        } catch (IOException e) {
            throw new MdevException(Errno.EIO, "cannot close " + file, e);
        }
    }
}
