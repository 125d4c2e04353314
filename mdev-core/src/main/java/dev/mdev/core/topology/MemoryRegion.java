package dev.mdev.core.topology;

import dev.mdev.core.addr.HvaRange;

/// A node of the tree of memory regions. Two regions are equal only if they are the same object.
///
/// A region belongs to one [Topology] and has at most one container; to show it in several places,
/// place aliases. All changes of a region go through a [TopologyEdit].
public final class MemoryRegion {
    private final RegionOwner owner;
    private final String name;
    private final RegionKind kind;
    private final RegionSize size;

    /// The state as of the last completed transaction; written only with the topology's lock held.
    private volatile RegionState state;

    private MemoryRegion(RegionOwner owner, String name, RegionKind kind, RegionSize size) {
        this.owner = owner;
        this.name = name;
        this.kind = kind;
        this.size = size;
        this.state = RegionState.initial();
    }

    /// A container.
    public static MemoryRegion container(RegionOwner owner, String name, RegionSize size) {
        return new MemoryRegion(owner, name, new RegionKind.Container(), size);
    }

    /// A container of `sizeBytes` bytes, unsigned.
    public static MemoryRegion container(RegionOwner owner, String name, long sizeBytes) {
        return container(owner, name, RegionSize.of(sizeBytes));
    }

    /// A container of 2^64 bytes, such as the root of an address space.
    public static MemoryRegion wholeSpace(RegionOwner owner, String name) {
        return container(owner, name, RegionSize.WHOLE_SPACE);
    }

    /// A device.
    public static MemoryRegion mmio(RegionOwner owner, String name, RegionSize size) {
        return new MemoryRegion(owner, name, new RegionKind.Mmio(), size);
    }

    /// A device of `sizeBytes` bytes, unsigned.
    public static MemoryRegion mmio(RegionOwner owner, String name, long sizeBytes) {
        return mmio(owner, name, RegionSize.of(sizeBytes));
    }

    /// RAM with the size of `host`.
    public static MemoryRegion ram(RegionOwner owner, String name, HvaRange host) {
        return memory(owner, name, new RegionKind.Ram(host), host);
    }

    /// Memory for system management mode with the size of `host`.
    public static MemoryRegion smram(RegionOwner owner, String name, HvaRange host) {
        return memory(owner, name, new RegionKind.Smram(host), host);
    }

    /// ROM with the size of `host`.
    public static MemoryRegion rom(RegionOwner owner, String name, HvaRange host) {
        return memory(owner, name, new RegionKind.Rom(host), host);
    }

    /// A ROM device with the size of `host`, in ROM mode.
    public static MemoryRegion romDevice(RegionOwner owner, String name, HvaRange host) {
        return memory(owner, name, new RegionKind.RomDevice(host), host);
    }

    /// An alias that shows all of `target` from its start; narrow it with [#alias(String,
    /// MemoryRegion, long, long)].
    public static MemoryRegion alias(String name, MemoryRegion target) {
        return new MemoryRegion(target.owner, name, new RegionKind.Alias(target), target.size);
    }

    /// An alias that shows `target` from byte `offsetBytes` on. Beyond the target's end it shows
    /// nothing.
    public static MemoryRegion alias(
            String name, MemoryRegion target, long offsetBytes, RegionSize size) {
        MemoryRegion alias =
                new MemoryRegion(target.owner, name, new RegionKind.Alias(target), size);
        alias.state = alias.state.withAliasOffset(offsetBytes);
        return alias;
    }

    /// The same, of `sizeBytes` bytes, unsigned.
    public static MemoryRegion alias(
            String name, MemoryRegion target, long offsetBytes, long sizeBytes) {
        return alias(name, target, offsetBytes, RegionSize.of(sizeBytes));
    }

    private static MemoryRegion memory(
            RegionOwner owner, String name, RegionKind kind, HvaRange host) {
        return new MemoryRegion(owner, name, kind, RegionSize.of(host.lengthBytes()));
    }

    /// A name for people.
    public String name() {
        return name;
    }

    /// The kind of the region.
    public RegionKind kind() {
        return kind;
    }

    /// Its size.
    public RegionSize size() {
        return size;
    }

    /// The offset of the last byte, unsigned; meaningless for an empty region.
    long lastOffsetBytes() {
        return size.lastOffsetBytes();
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
