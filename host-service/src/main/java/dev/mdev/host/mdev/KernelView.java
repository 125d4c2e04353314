package dev.mdev.host.mdev;

import dev.mdev.api.KernelNode;

import org.jspecify.annotations.Nullable;

/// How a program outside this service gets a device that lives in the kernel.
///
/// @param sysfs the device's folder
/// @param iommuGroup its IOMMU group; absent while no kernel driver is bound to it
/// @param vfioPath the file of that group
/// @param qemu the options of QEMU for it
record KernelView(
        String sysfs, @Nullable Integer iommuGroup, @Nullable String vfioPath, String qemu) {
    static KernelView of(KernelNode node) {
        return new KernelView(
                node.sysfs(),
                node.iommuGroup().orElse(null),
                node.vfio().orElse(null),
                "-device %s,sysfsdev=%s".formatted(node.deviceApi(), node.sysfs()));
    }
}
