package dev.mdev.core.kernelbus;

import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.UUID;

/// This process as a program that has a device open, as QEMU does it.
public final class VfioProgram implements AutoCloseable {
    private static final int O_RDWR = 2;

    private final Deque<NativeFd> open = new ArrayDeque<>();

    /// @param vfioPath `/dev/vfio/N` of the device
    public VfioProgram(String vfioPath, UUID uuid) {
        Syscalls sys = Syscalls.ofThisProcess();
        try (Arena arena = Arena.ofConfined()) {
            NativeFd container = keep(sys.open("/dev/vfio/vfio", O_RDWR));
            NativeFd group = keep(sys.open(vfioPath, O_RDWR));
            MemorySegment number = arena.allocateFrom(ValueLayout.JAVA_INT, container.number());
            sys.ioctl(group, VfioAbi.GROUP_SET_CONTAINER, number.address(), "SET_CONTAINER");
            sys.ioctl(container, VfioAbi.SET_IOMMU, VfioAbi.TYPE1V2_IOMMU, "SET_IOMMU");
            MemorySegment name = arena.allocateFrom(uuid.toString());
            int device =
                    sys.ioctl(group, VfioAbi.GROUP_GET_DEVICE_FD, name.address(), "GET_DEVICE_FD");
            keep(sys.owned(device, "device", () -> "GET_DEVICE_FD"));
        }
    }

    private NativeFd keep(NativeFd fd) {
        open.push(fd);
        return fd;
    }

    /// Closes the device, its group, and the container.
    @Override
    public void close() {
        open.forEach(NativeFd::close);
    }
}
