package dev.mdev.api;

import java.util.Optional;

/// How a program outside this host gets a device that the kernel serves (VFIO).
///
/// @param sysfs the device's folder, such as `/sys/bus/mdev/devices/UUID`
/// @param deviceApi how a virtual machine sees it: [MdevType#deviceApi]
/// @param iommuGroup its IOMMU group; none while no kernel driver is bound to the device
/// @param vfio the file of the group, such as `/dev/vfio/12`
/// @param user the processes that have that file open, such as `qemu-system-x86 (pid 4711)`
public record KernelNode(
        String sysfs,
        String deviceApi,
        Optional<Integer> iommuGroup,
        Optional<String> vfio,
        Optional<String> user) {}
