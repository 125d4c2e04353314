package dev.mdev.vfiouser;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.dma.DmaMemory;
import dev.mdev.core.guestmem.SlotDmaMemory;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.hostmm.HostPageTable;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.SlotFlags;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.core.sys.Syscalls;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;

/// A client's guest memory as its device reaches it: each range that the client maps is a memory
/// slot, as in a machine of our own. So pins and dirty logs are those of the core.
///
/// The session's thread maps and unmaps. Any thread may call the methods of [DmaMemory].
final class ClientMemory implements DmaMemory, AutoCloseable {
    private static final long FIRST_HVA = 0x10_0000_0000L;
    private static final long UNMAPPED_HVA = 0x4000_0000_0000L;
    private static final long END_HVA = 0x7fff_ffff_f000L;

    private final DmaLimits limits;
    private final ClientReach reach;
    private final AddressSpaces slots = new AddressSpaces(SlotConfig.withoutSmm());
    private final HostMemory memory = new HostMemory(new OffHeapBackend(), 0);
    private final HostMm mm;
    private final SlotDmaMemory mapped;
    private final MappedFiles files;

    /// Names for memory that is not mapped into this process.
    private final HostAddresses elsewhere = new HostAddresses(UNMAPPED_HVA, END_HVA);

    /// By their first addresses. Changed by the session's thread.
    private final ConcurrentSkipListMap<Long, DmaMap> maps = new ConcurrentSkipListMap<>();

    private final BitSet usedSlots = new BitSet();
    private boolean logging;

    private final AtomicLong mappedBytes = new AtomicLong();

    /// @param reach the way to memory that is not mapped
    /// @param timeout the maximum wait for another access
    ClientMemory(Syscalls sys, DmaLimits limits, ClientReach reach, Duration timeout) {
        this.limits = limits;
        this.reach = reach;
        mm = new HostMm(new HostAddresses(FIRST_HVA, UNMAPPED_HVA), memory, timeout);
        files = new MappedFiles(sys, memory, mm, limits);
        mapped = new SlotDmaMemory(slots, mm);
    }

    AddressSpaces slots() {
        return slots;
    }

    /// Ranges that are mapped now.
    int count() {
        return maps.size();
    }

    long mappedBytes() {
        return mappedBytes.get();
    }

    /// The maps that share addresses with a range, ascending.
    List<DmaMap> overlapping(long iova, long sizeBytes) {
        Map.Entry<Long, DmaMap> below = maps.floorEntry(iova);
        long from = below != null && below.getValue().contains(iova) ? below.getKey() : iova;
        return List.copyOf(maps.subMap(from, iova + sizeBytes).values());
    }

    /// All maps, ascending.
    List<DmaMap> all() {
        return List.copyOf(maps.values());
    }

    /// The map of exactly this range, or null.
    @Nullable DmaMap find(long iova, long sizeBytes) {
        DmaMap map = maps.get(iova);
        return map != null && map.request().sizeBytes() == sizeBytes ? map : null;
    }

    /// Maps a range.
    ///
    /// @param place where its bytes are in a file; null if only the client reaches them
    /// @throws MdevException EEXIST if another map is in the range, ENOSPC beyond a limit, EINVAL
    ///   for a file that is no memory, or does not have the rights
    void map(DmaMap.Request request, ClientFile.@Nullable Place place) {
        if (!overlapping(request.iova(), request.sizeBytes()).isEmpty()) {
            throw new MdevException(Errno.EEXIST, "mapped already: " + request);
        }
        if (maps.size() >= limits.maps()
                || request.sizeBytes() > limits.bytes() - mappedBytes.get()) {
            throw new MdevException(
                    Errno.ENOSPC,
                    "too much is mapped: %s maps=%d mappedBytes=%d"
                            .formatted(request, maps.size(), mappedBytes.get()));
        }
        if (place != null && request.writable() && !ClientFile.isWritable(place.facts())) {
            throw new MdevException(Errno.EINVAL, "the file is read-only: " + request);
        }
        DmaMap map = reserve(request, place);
        try {
            setSlot(map, request.sizeBytes());
        } catch (RuntimeException | Error e) {
            release(map);
            throw e;
        }
        usedSlots.set(map.slot());
        maps.put(request.iova(), map);
        mappedBytes.addAndGet(request.sizeBytes());
    }

    private DmaMap reserve(DmaMap.Request request, ClientFile.@Nullable Place place) {
        int slot = usedSlots.nextClearBit(0);
        long npages = Page.numberOf(request.sizeBytes());
        if (place != null && ClientFile.of(place.facts()) == ClientFile.MAPPED) {
            MappedFiles.MappedFile file = files.acquire(place);
            // The mapping keeps the file.
            place.fd().close();
            return new DmaMap(
                    slot,
                    request,
                    HvaRange.ofPages(file.hvaOf(place.offsetBytes()), npages),
                    new DmaMap.Reach.Memory(file));
        }
        HvaRange hvas = elsewhere.reserve(npages, HostPageTable.Kind.LAZY);
        return new DmaMap(
                slot,
                request,
                hvas,
                place == null
                        ? new DmaMap.Reach.Messages()
                        : new DmaMap.Reach.File(place.fd(), place.offsetBytes()));
    }

    private void setSlot(DmaMap map, long sizeBytes) {
        int flags =
                (map.request().writable() ? 0 : SlotFlags.READONLY)
                        | (logging ? SlotFlags.LOG_DIRTY_PAGES : 0);
        slots.setUserMemoryRegion(
                sizeBytes == 0
                        ? UserMemoryRegion.deletionOf(map.slot())
                        : new UserMemoryRegion(
                                map.slot(), flags, map.iova(), sizeBytes, map.hvas().startHva()));
    }

    /// Unmaps a range. When it returns, nobody in this process reaches its memory.
    void unmap(DmaMap map) {
        maps.remove(map.iova());
        setSlot(map, 0);
        usedSlots.clear(map.slot());
        mappedBytes.addAndGet(-map.request().sizeBytes());
        release(map);
    }

    private void release(DmaMap map) {
        switch (map.reach()) {
            case DmaMap.Reach.Memory there -> files.release(there.file());
            case DmaMap.Reach.File file -> {
                elsewhere.release(map.hvas());
                file.fd().close();
            }
            case DmaMap.Reach.Messages _ -> elsewhere.release(map.hvas());
        }
    }

    /// Starts or stops the recording of writes, now and in later maps.
    ///
    /// @throws MdevException ENOMEM if there is no memory for the bitmaps
    void setLogging(boolean on) {
        logging = on;
        for (DmaMap map : maps.values()) {
            setSlot(map, map.request().sizeBytes());
        }
    }

    boolean isLogging() {
        return logging;
    }

    @Override
    public Copied copy(long gpa, MemorySegment buffer, Access access, BooleanSupplier allowed) {
        long done = 0;
        while (done < buffer.byteSize()) {
            long at = gpa + done;
            Map.Entry<Long, DmaMap> below = maps.floorEntry(at);
            if (below == null || !below.getValue().contains(at)) {
                return new Copied(done, "no memory");
            }
            DmaMap map = below.getValue();
            long length = Math.min(buffer.byteSize() - done, map.endIova() - at);
            MemorySegment part = buffer.asSlice(done, length);
            Copied copied =
                    map.reach() instanceof DmaMap.Reach.Memory
                            ? mapped.copy(at, part, access, allowed)
                            : copyElsewhere(map, at, part, access, allowed);
            if (copied.doneBytes() < length) {
                return new Copied(done + copied.doneBytes(), copied.reason(), copied.cancelled());
            }
            done += length;
        }
        return new Copied(done, "");
    }

    @SuppressWarnings("ReferenceEquality") // that very map, not one like it
    private Copied copyElsewhere(
            DmaMap map, long iova, MemorySegment part, Access access, BooleanSupplier allowed) {
        if (access == Access.WRITE && !map.request().writable()) {
            return new Copied(0, "read-only memory");
        }
        BooleanSupplier there = () -> maps.get(map.iova()) == map && allowed.getAsBoolean();
        Copied copied =
                switch (map.reach()) {
                    case DmaMap.Reach.File file ->
                            reach.file(
                                    file,
                                    new ClientReach.Piece(iova, iova - map.iova(), part, access),
                                    held(there));
                    case DmaMap.Reach.Messages _ ->
                            reach.messages(
                                    new ClientReach.Piece(iova, iova - map.iova(), part, access),
                                    held(there));
                    case DmaMap.Reach.Memory _ -> new Copied(0, "no memory");
                };
        if (access == Access.WRITE && copied.doneBytes() > 0) {
            long first = Page.numberOf(iova);
            long end = Page.countFor(iova + copied.doneBytes());
            markDirty(new GfnRange(first, end - first));
        }
        return copied;
    }

    /// Runs a piece of a copy while the map stays.
    private ClientReach.Held held(BooleanSupplier there) {
        return action -> {
            boolean[] ran = new boolean[1];
            hold(() -> {
                if (there.getAsBoolean()) {
                    action.run();
                    ran[0] = true;
                }
            });
            return ran[0];
        };
    }

    @Override
    public long[] resolve(GfnRange gfns, Access access) {
        return mapped.resolve(gfns, access);
    }

    @Override
    public String faultIn(long hva, Access access) {
        return elsewhere.contains(hva) ? "" : mapped.faultIn(hva, access);
    }

    @Override
    public void markDirty(GfnRange gfns) {
        mapped.markDirty(gfns);
    }

    @Override
    public void hold(Runnable action) {
        mapped.hold(action);
    }

    @Override
    public void awaitHolds() {
        mapped.awaitHolds();
    }

    /// Unmaps everything.
    @Override
    public void close() {
        all().forEach(this::unmap);
        mm.close();
        memory.close();
    }
}
