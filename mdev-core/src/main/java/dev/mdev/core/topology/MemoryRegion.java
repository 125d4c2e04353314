package dev.mdev.core.topology;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.addr.HvaRange;

/// A node of the tree of memory regions. Two regions are equal only if they are the same object.
///
/// A region belongs to one [Topology] and has at most one container; to show it in several places,
/// place aliases. All changes of a region go through a [TopologyEdit].
public final class MemoryRegion {
    private final RegionOwner owner;
    private final String name;
    private final RegionKind kind;
    private final long lastOffsetBytes;

    /// The state as of the last completed transaction; written only with the topology's lock held.
    private volatile RegionState state;

    private MemoryRegion(RegionOwner owner, String name, RegionKind kind, long lastOffsetBytes) {
        this.owner = owner;
        this.name = name;
        this.kind = kind;
        this.lastOffsetBytes = lastOffsetBytes;
        this.state = RegionState.initial();
    }

    /// A container of `sizeBytes` bytes, taken as unsigned, at least 1.
    public static MemoryRegion container(RegionOwner owner, String name, long sizeBytes) {
        return sized(owner, name, new RegionKind.Container(), sizeBytes);
    }

    /// A container of 2^64 bytes, such as the root of an address space.
    public static MemoryRegion wholeSpace(RegionOwner owner, String name) {
        return new MemoryRegion(owner, name, new RegionKind.Container(), -1L);
    }

    /// A device of `sizeBytes` bytes, taken as unsigned, at least 1.
    public static MemoryRegion mmio(RegionOwner owner, String name, long sizeBytes) {
        return sized(owner, name, new RegionKind.Mmio(), sizeBytes);
    }

    /// RAM with the size of `host`.
    public static MemoryRegion ram(RegionOwner owner, String name, HvaRange host) {
        return sized(owner, name, new RegionKind.Ram(host), host.lengthBytes());
    }

    /// ROM with the size of `host`.
    public static MemoryRegion rom(RegionOwner owner, String name, HvaRange host) {
        return sized(owner, name, new RegionKind.Rom(host), host.lengthBytes());
    }

    /// A ROM device with the size of `host`, in ROM mode.
    public static MemoryRegion romDevice(RegionOwner owner, String name, HvaRange host) {
        return sized(owner, name, new RegionKind.RomDevice(host), host.lengthBytes());
    }

    /// An alias that shows all of `target` from its start; narrow it with [#alias(String,
    /// MemoryRegion, long, long)].
    public static MemoryRegion alias(String name, MemoryRegion target) {
        return new MemoryRegion(
                target.owner, name, new RegionKind.Alias(target), target.lastOffsetBytes);
    }

    /// An alias of `sizeBytes` bytes that shows `target` from byte `offsetBytes` on. Beyond the
    /// target's end it shows nothing.
    public static MemoryRegion alias(
            String name, MemoryRegion target, long offsetBytes, long sizeBytes) {
        MemoryRegion alias = sized(target.owner, name, new RegionKind.Alias(target), sizeBytes);
        alias.state = alias.state.withAliasOffset(offsetBytes);
        return alias;
    }

    private static MemoryRegion sized(
            RegionOwner owner, String name, RegionKind kind, long sizeBytes) {
        if (sizeBytes == 0) {
            throw new MdevException(Errno.EINVAL, "region=%s sizeBytes=0".formatted(name));
        }
        return new MemoryRegion(owner, name, kind, sizeBytes - 1);
    }

    /// A name for people.
    public String name() {
        return name;
    }

    /// The kind of the region.
    public RegionKind kind() {
        return kind;
    }

    /// The offset of the last byte, unsigned. (The size of the whole space does not fit a `long`.)
    public long lastOffsetBytes() {
        return lastOffsetBytes;
    }

    RegionOwner owner() {
        return owner;
    }

    RegionState state() {
        return state;
    }

    void publish(RegionState next) {
        state = next;
    }

    @Override
    public String toString() {
        return name;
    }
}
