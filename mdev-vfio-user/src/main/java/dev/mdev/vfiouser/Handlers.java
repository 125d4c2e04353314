package dev.mdev.vfiouser;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.Refusal;
import dev.mdev.core.sys.Syscalls;
import dev.mdev.core.sys.UnixStream;

import java.lang.foreign.MemorySegment;

/// What each command does.
///
/// Used by the session's thread.
final class Handlers implements AutoCloseable {
    private final ClientDevice device;
    private final DmaMessages messages;
    private final InfoReplies info;
    private final RegionReplies regions;
    private final RegionCommands access;
    private final DmaCommands dma;
    private final Migration migration;
    private final FeatureCommands features;

    /// The last reply: one object for all.
    private long bodyBytes;

    private int[] fds = UnixStream.NO_FDS;
    private final Reply reply = new Reply();

    Handlers(
            ClientDevice device,
            DmaMessages messages,
            Migration migration,
            Version version,
            Syscalls sys) {
        this.device = device;
        this.messages = messages;
        this.migration = migration;
        messages.limit(version.maxDataBytes());
        info = new InfoReplies(device);
        regions = new RegionReplies(device.regions());
        access = new RegionCommands(device, version.readsNeverFail());
        dma = new DmaCommands(sys, device);
        features = new FeatureCommands(migration, new DirtyReports(device.memory()));
    }

    /// The reply to the last request, valid until the next.
    final class Reply {
        long bodyBytes() {
            return bodyBytes;
        }

        int[] fds() {
            return fds;
        }
    }

    /// Carries out a request.
    ///
    /// @param out for the reply's body, after the header
    /// @throws MdevException the error that the client gets
    Reply handle(Command command, Message message, MemorySegment out) {
        fds = UnixStream.NO_FDS;
        bodyBytes =
                switch (command) {
                    case DEVICE_GET_INFO -> info.device(message, out);
                    case DEVICE_GET_REGION_INFO -> regionInfo(message, out);
                    case DEVICE_GET_IRQ_INFO -> info.interrupts(message, out);
                    case DEVICE_SET_IRQS -> {
                        device.interrupts().apply(message);
                        yield 0;
                    }
                    case REGION_READ, REGION_WRITE, REGION_WRITE_MULTI ->
                            access(command, message, out);
                    case DMA_MAP -> {
                        dma.map(message);
                        yield 0;
                    }
                    case DMA_UNMAP -> dma.unmap(message, out);
                    case DEVICE_RESET -> reset(message);
                    case DEVICE_FEATURE -> features.handle(message, out);
                    case MIG_DATA_READ -> migration.read(message, out);
                    case MIG_DATA_WRITE -> {
                        migration.write(message);
                        yield 0;
                    }
                    case VERSION, DEVICE_GET_REGION_IO_FDS, DMA_READ, DMA_WRITE ->
                            throw new MdevException(Errno.EINVAL, "not offered: " + command);
                };
        return reply;
    }

    private long access(Command command, Message message, MemorySegment out) {
        migration.requireAccessible();
        return switch (command) {
            case REGION_READ -> access.read(message, out);
            case REGION_WRITE -> access.write(message, out);
            default -> access.writeMulti(message, out);
        };
    }

    private long regionInfo(Message message, MemorySegment out) {
        long answerBytes = regions.write(message, out);
        fds = regions.fds();
        return answerBytes;
    }

    private long reset(Message message) {
        if (message.bodyBytes() != 0) {
            throw new MdevException(Errno.EINVAL, "bodyBytes=" + message.bodyBytes());
        }
        migration.reset();
        Refusal refusal = device.reset().orElse(null);
        if (refusal != null) {
            throw refusal.toException();
        }
        return 0;
    }

    /// Whether the client has stopped the device. Any thread may ask.
    boolean isStandingStill() {
        return migration.isStandingStill();
    }

    /// Takes a client's answer.
    void deliver(Message answer) {
        messages.deliver(answer);
    }

    /// Before the device is taken back: the client answers no more.
    @Override
    public void close() {
        messages.abandon();
        migration.close();
    }
}
