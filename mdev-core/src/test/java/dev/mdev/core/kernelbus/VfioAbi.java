package dev.mdev.core.kernelbus;

/// Numbers of VFIO (`linux/vfio.h`).
final class VfioAbi {
    static final long SET_IOMMU = 0x3B66;
    static final long GROUP_SET_CONTAINER = 0x3B68;
    static final long GROUP_GET_DEVICE_FD = 0x3B6A;
    static final int TYPE1V2_IOMMU = 3;

    private VfioAbi() {}
}
