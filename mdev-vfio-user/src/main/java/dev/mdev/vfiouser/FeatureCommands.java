package dev.mdev.vfiouser;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.lang.foreign.MemorySegment;

/// Optional features of a device (`VFIO_DEVICE_FEATURE`): migration, and the log of its writes.
final class FeatureCommands {
    private static final int HEAD_BYTES = 8;
    private static final int FEATURE_MASK = 0xffff;
    private static final int GET = 1 << 16;
    private static final int SET = 1 << 17;
    private static final int PROBE = 1 << 18;

    private static final int MIGRATION = 1;
    private static final int MIGRATION_STATE = 2;
    private static final int LOGGING_START = 6;
    private static final int LOGGING_STOP = 7;
    private static final int LOGGING_REPORT = 8;

    /// The device is stopped, and then its whole state is copied.
    private static final long STOP_COPY = 1;

    private final Migration migration;
    private final DirtyReports dirty;

    FeatureCommands(Migration migration, DirtyReports dirty) {
        this.migration = migration;
        this.dirty = dirty;
    }

    /// Gets, sets or probes a feature.
    ///
    /// @return the length of the reply's body
    /// @throws MdevException EINVAL for a feature or method that is not offered
    long handle(Message message, MemorySegment reply) {
        message.require(HEAD_BYTES);
        long room = Math.min(message.u32(0), Wire.MAX_DATA_BYTES);
        int flags = (int) message.u32(4);
        int feature = flags & FEATURE_MASK;
        int methods = flags & (GET | SET);
        boolean probe = (flags & PROBE) != 0;
        if (room < HEAD_BYTES
                || (flags & ~(FEATURE_MASK | GET | SET | PROBE)) != 0
                || (methods & ~methodsOf(feature)) != 0
                || (!probe && Integer.bitCount(methods) != 1)) {
            throw new MdevException(
                    Errno.EINVAL, "flags=0x%x argszBytes=%d".formatted(flags, message.u32(0)));
        }
        long requestBytes = Math.min(message.bodyBytes(), Wire.MAX_DATA_BYTES);
        if (probe) {
            return repeat(message, reply, requestBytes);
        }
        if (methods == SET) {
            if (room < requestBytes) {
                throw new MdevException(
                        Errno.EINVAL,
                        "no room for the answer: argszBytes=%d of %d"
                                .formatted(message.u32(0), requestBytes));
            }
            set(feature, message);
            return repeat(message, reply, requestBytes);
        }
        long dataBytes = get(feature, message, room - HEAD_BYTES, reply);
        var _ = repeat(message, reply, HEAD_BYTES);
        Wire.u32(reply, Wire.HEADER_BYTES, HEAD_BYTES + dataBytes);
        return HEAD_BYTES + dataBytes;
    }

    private int methodsOf(int feature) {
        return switch (feature) {
            case MIGRATION -> migration.isSupported() ? GET : 0;
            case MIGRATION_STATE -> migration.isSupported() ? GET | SET : 0;
            case LOGGING_START, LOGGING_STOP -> SET;
            case LOGGING_REPORT -> GET;
            default -> 0;
        };
    }

    private static long repeat(Message message, MemorySegment reply, long lengthBytes) {
        MemorySegment.copy(
                message.memory(), Wire.HEADER_BYTES, reply, Wire.HEADER_BYTES, lengthBytes);
        return lengthBytes;
    }

    private void set(int feature, Message message) {
        switch (feature) {
            case MIGRATION_STATE -> {
                message.require(HEAD_BYTES + Integer.BYTES);
                migration.go((int) message.u32(HEAD_BYTES));
            }
            case LOGGING_START -> dirty.start(message, HEAD_BYTES);
            default -> dirty.stop();
        }
    }

    private long get(int feature, Message message, long room, MemorySegment reply) {
        long at = Wire.HEADER_BYTES + (long) HEAD_BYTES;
        if (feature == LOGGING_REPORT) {
            return dirty.report(message, HEAD_BYTES, room, reply);
        }
        if (room < Long.BYTES) {
            throw new MdevException(Errno.EINVAL, "no room: argszBytes=" + message.u32(0));
        }
        // Of the state, the second half would be a descriptor: this protocol has none.
        Wire.u64(reply, at, feature == MIGRATION ? STOP_COPY : migration.state());
        return Long.BYTES;
    }
}
