package dev.mdev.vfiouser;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.RegionInfo;

import java.lang.foreign.MemorySegment;

/// The messages that read and write regions.
final class RegionCommands {
    private static final int HEAD_BYTES = 16;
    private static final int MULTI_HEAD_BYTES = 8;
    private static final int MULTI_BYTES = 24;
    private static final int MULTI_MAX_DATA_BYTES = 8;
    private static final int MULTI_DATA = 16;
    private static final byte ONES = -1;

    private final ClientDevice device;
    private final boolean readsNeverFail;
    private final RegionBytes bytes = new RegionBytes();

    /// @param readsNeverFail whether a read that the driver fails gets ones
    RegionCommands(ClientDevice device, boolean readsNeverFail) {
        this.device = device;
        this.readsNeverFail = readsNeverFail;
    }

    /// Reads.
    ///
    /// @return the length of the reply's body
    long read(Message message, MemorySegment reply) {
        message.require(HEAD_BYTES);
        long region = message.u32(8);
        int count = countOf(message.u32(12));
        long data = Wire.HEADER_BYTES + (long) HEAD_BYTES;
        try {
            device.regions().read(bytes.of(region, message.u64(0), count, reply, data));
        } catch (MdevException e) {
            if (!readsNeverFail) {
                throw e;
            }
            reply.asSlice(data, count).fill(ONES);
        }
        repeatHead(message, reply);
        return HEAD_BYTES + (long) count;
    }

    /// Writes.
    ///
    /// @return the length of the reply's body
    long write(Message message, MemorySegment reply) {
        message.require(HEAD_BYTES);
        long region = message.u32(8);
        int count = countOf(message.u32(12));
        if (message.bodyBytes() != HEAD_BYTES + (long) count) {
            throw new MdevException(
                    Errno.EINVAL, "count=%d bodyBytes=%d".formatted(count, message.bodyBytes()));
        }
        device.regions()
                .write(
                        bytes.of(
                                region,
                                message.u64(0),
                                count,
                                message.memory(),
                                Message.inMemory(HEAD_BYTES)));
        afterWrite(region);
        repeatHead(message, reply);
        return HEAD_BYTES;
    }

    private void afterWrite(long region) {
        if (region == RegionInfo.CONFIG) {
            device.configWritten();
        }
    }

    private static void repeatHead(Message message, MemorySegment reply) {
        MemorySegment.copy(
                message.memory(), Wire.HEADER_BYTES, reply, Wire.HEADER_BYTES, HEAD_BYTES);
    }

    private static int countOf(long count) {
        if (count > Wire.MAX_DATA_BYTES) {
            throw new MdevException(Errno.EINVAL, "count=" + count);
        }
        return (int) count;
    }

    /// Makes several small writes, in order, up to the first that fails.
    ///
    /// @return the length of the reply's body
    long writeMulti(Message message, MemorySegment reply) {
        message.require(MULTI_HEAD_BYTES);
        long writes = message.u64(0);
        long there = (message.bodyBytes() - MULTI_HEAD_BYTES) / MULTI_BYTES;
        if (writes < 0 || writes > there) {
            throw new MdevException(
                    Errno.EINVAL, "writes=%d bodyBytes=%d".formatted(writes, message.bodyBytes()));
        }
        for (long i = 0; i < writes; i++) {
            writeOne(message, MULTI_HEAD_BYTES + i * MULTI_BYTES);
        }
        Wire.u64(reply, Wire.HEADER_BYTES, writes);
        return MULTI_HEAD_BYTES;
    }

    private void writeOne(Message message, long at) {
        long count = message.u32(at + 12);
        if (count > MULTI_MAX_DATA_BYTES) {
            throw new MdevException(Errno.EINVAL, "count=" + count);
        }
        long region = message.u32(at + 8);
        device.regions()
                .write(
                        bytes.of(
                                region,
                                message.u64(at),
                                (int) count,
                                message.memory(),
                                Message.inMemory(at + MULTI_DATA)));
        afterWrite(region);
    }
}
