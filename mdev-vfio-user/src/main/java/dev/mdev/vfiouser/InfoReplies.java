package dev.mdev.vfiouser;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.pci.IrqSupport;

import java.lang.foreign.MemorySegment;

/// The answers about the device and its kinds of interrupts.
final class InfoReplies {
    private static final int BYTES = 16;
    private static final int RESET = 1;
    private static final int PCI = 1 << 1;

    private final ClientDevice device;

    InfoReplies(ClientDevice device) {
        this.device = device;
    }

    /// `VFIO_DEVICE_GET_INFO`.
    ///
    /// @return the length of the reply's body
    long device(Message message, MemorySegment reply) {
        requireRoom(message);
        long at = Wire.HEADER_BYTES;
        Wire.u32(reply, at, BYTES);
        Wire.u32(reply, at + 4, RESET | PCI);
        Wire.u32(reply, at + 8, device.regions().indexes());
        Wire.u32(reply, at + 12, ClientInterrupts.KINDS);
        return BYTES;
    }

    /// `VFIO_DEVICE_GET_IRQ_INFO`.
    long interrupts(Message message, MemorySegment reply) {
        requireRoom(message);
        long index = message.u32(8);
        IrqSupport support = device.interrupts().support(index);
        long at = Wire.HEADER_BYTES;
        Wire.u32(reply, at, BYTES);
        Wire.u32(reply, at + 4, support.flags());
        Wire.u32(reply, at + 8, index);
        Wire.u32(reply, at + 12, support.count());
        return BYTES;
    }

    private static void requireRoom(Message message) {
        message.require(BYTES);
        if (message.u32(0) < BYTES) {
            throw new MdevException(Errno.EINVAL, "argszBytes=" + message.u32(0));
        }
    }
}
