package dev.mdev.core.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;
import dev.mdev.core.dirty.DirtyLogClear;
import dev.mdev.core.dirty.DirtyModes;
import dev.mdev.core.dirty.DirtyRingHarvester;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.engine.software.SoftwareGuest;
import dev.mdev.core.engine.software.SoftwareOptions;
import dev.mdev.core.engine.software.SoftwareVcpu;
import dev.mdev.core.guestmem.GuestMemoryAccess;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotFlags;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.gate.Deadlines;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.function.Supplier;

/// The kernel and our model side by side.
final class KernelAndModel implements AutoCloseable {
    /// Pages of guest memory.
    static final int NPAGES = 320;

    /// Host addresses from here on are of the same memory, where the machine must not write it.
    static final long READONLY_HVA = Page.bytesOf(8 * NPAGES);

    /// The log of a slot takes two bitmaps: 32 MiB for this size.
    private static final long LARGEST_LOGGED_BYTES = 1L << 39;

    /// Pages of the largest slot that is kept.
    private static final long MAX_PAGES = 1024;

    private final Arena arena = Arena.ofShared();
    private final KvmOracle kernel;
    private final HostMemory hostMemory = new HostMemory(new OffHeapBackend());
    private final HostMemory.Block block = hostMemory.allocate("model", NPAGES);
    private final AddressSpaces slots;
    private final SoftwareGuest guest;
    private final SoftwareVcpu vcpu;
    private final SmmOfBoth smm;
    private final Bases theirBases;
    private final Bases ourBases;
    private final List<MemorySegment> rings = new ArrayList<>();
    private final List<DirtyRingHarvester> harvesters = new ArrayList<>();

    private final Agreement agreement = new Agreement();
    private final Map<Integer, UserMemoryRegion> present = new HashMap<>();

    int succeeded;
    int ringEntries;

    /// Where guest memory is.
    private record Bases(long hva, long readonlyHva) {}

    KernelAndModel(int ringBytes) {
        this(ringBytes, true, false);
    }

    /// @param zapAll whether a deletion drops all mappings
    /// @param hasSmm whether the processor goes into system management mode
    KernelAndModel(int ringBytes, boolean zapAll, boolean hasSmm) {
        kernel = new KvmOracle(NPAGES, ringBytes, hasSmm);
        slots = new AddressSpaces(kernel.config());
        SoftwareOptions same = SoftwareOptions.DEFAULT.with(KvmOracle.paging()).withRingDefects();
        if (!zapAll) {
            assumeTrue(kernel.disableZapAll(), "this kernel always drops all mappings");
            same = same.withoutZapAll();
        }
        guest = new SoftwareEngine(Deadlines.HANG, same).createGuest(slots, hostMemory);
        theirBases = new Bases(kernel.hva(), kernel.readonlyHva());
        ourBases = new Bases(mapped(Prot.READ_WRITE), mapped(Prot.READ));
        if (ringBytes != 0) {
            guest.dirtyModes().enable(DirtyModes.RING, 0, ringBytes);
        }
        vcpu = guest.createVcpu(0);
        smm =
                new SmmOfBoth(
                        agreement,
                        kernel,
                        new SmmOfBoth.Model(slots, vcpu, block.segment(), ourBases.hva));
        if (ringBytes != 0) {
            rings.add(kernel.ring());
            rings.add(Objects.requireNonNull(guest.dirtyRings().ringOf(0)).memory());
            rings.forEach(ring -> harvesters.add(new DirtyRingHarvester(ring)));
        }
    }

    private long mapped(Prot prot) {
        return guest.hostMm().mapEagerly(block.pfns(), prot).range().startHva();
    }

    /// @param region its host address counts from the start of guest memory, unless it is far
    void set(UserMemoryRegion region) {
        if (meetsTheModelsAddresses(region)) {
            // Where the model has memory, the kernel has none.
            return;
        }
        if (needsALargeBitmap(region)) {
            // The kernel of a small machine answers ENOMEM, now and then.
            return;
        }
        int theirs = kernel.set(at(region, theirBases));
        int ours = errnoOf(() -> slots.setUserMemoryRegion(at(region, ourBases)));
        agreement.check("set " + region, ours, theirs);
        if (theirs == 0) {
            succeeded++;
            if (region.sizeBytes() == 0) {
                present.remove(region.slot());
            } else {
                present.put(region.slot(), region);
            }
            if (region.sizeBytes() > Page.bytesOf(MAX_PAGES)) {
                // Its log would not fit the buffers of the calls below.
                set(UserMemoryRegion.deletionOf(region.slot()));
            }
        }
    }

    /// System management mode of both.
    SmmOfBoth smm() {
        return smm;
    }

    @Nullable UserMemoryRegion former(int slot) {
        return present.get(slot);
    }

    private boolean meetsTheModelsAddresses(UserMemoryRegion region) {
        long end = ourBases.readonlyHva + Page.bytesOf(NPAGES);
        return region.hva() >= 0
                && region.hva() < end
                && region.sizeBytes() > ourBases.hva - region.hva()
                && at(region, new Bases(0, READONLY_HVA)).hva() == at(region, ourBases).hva();
    }

    private static boolean needsALargeBitmap(UserMemoryRegion region) {
        return (region.flags() & SlotFlags.LOG_DIRTY_PAGES) != 0
                && region.sizeBytes() > LARGEST_LOGGED_BYTES;
    }

    private static UserMemoryRegion at(UserMemoryRegion region, Bases bases) {
        if (region.hva() >= READONLY_HVA && region.hva() < READONLY_HVA + Page.bytesOf(NPAGES)) {
            return new UserMemoryRegion(
                    region.slot(),
                    region.flags(),
                    region.gpa(),
                    region.sizeBytes(),
                    bases.readonlyHva + region.hva() - READONLY_HVA);
        }
        // What is too large is judged by where it would end, so it begins at the same address.
        long most = Page.bytesOf(2 * NPAGES);
        boolean near =
                region.hva() >= 0
                        && region.hva() < most
                        && Long.compareUnsigned(region.sizeBytes(), most) <= 0;
        return new UserMemoryRegion(
                region.slot(),
                region.flags(),
                region.gpa(),
                region.sizeBytes(),
                near ? bases.hva + region.hva() : region.hva());
    }

    void get(int slot, boolean unwritable) {
        MemorySegment theirs = arena.allocate(MAX_PAGES / Byte.SIZE, Long.BYTES);
        MemorySegment ours = arena.allocate(MAX_PAGES / Byte.SIZE, Long.BYTES);
        int theirErrno = kernel.getDirtyLog(slot, unwritable ? MemorySegment.ofAddress(8) : theirs);
        int ourErrno =
                errnoOf(() -> guest.dirtyLog().get(slot, unwritable ? MemorySegment.NULL : ours));
        agreement.check(
                "get slot=0x%x unwritable=%s".formatted(slot, unwritable), ourErrno, theirErrno);
        agreement.check("dirty pages of it", KvmOracle.words(ours), KvmOracle.words(theirs));
    }

    void clear(DirtyLogClear part, long bits) {
        MemorySegment named = arena.allocate(MAX_PAGES / Byte.SIZE, Long.BYTES);
        for (long at = 0; at < named.byteSize(); at += Long.BYTES) {
            named.set(ValueLayout.JAVA_LONG, at, Long.rotateLeft(bits, (int) at));
        }
        agreement.check(
                "clear " + part,
                errnoOf(() -> guest.dirtyLog().clear(part, named)),
                kernel.clearDirtyLog(part, named));
    }

    void enable(int capability, long value) {
        enable(capability, 0, value);
    }

    void enable(int capability, int flags, long value) {
        agreement.check(
                "enable capability=%d flags=0x%x value=0x%x".formatted(capability, flags, value),
                errnoOf(() -> guest.dirtyModes().enable(capability, flags, value)),
                kernel.enableCap(capability, flags, value));
    }

    /// Writes guest memory by the accessors of a machine that runs a processor: a wall clock of 12
    /// bytes that begins with a version, which is written before and after it. Its time differs, so
    /// its place is zeroed then.
    void writeWallClock(long gpa) {
        kernel.writeWallClock(gpa);
        GuestMemoryAccess machine = new GuestMemoryAccess(slots, guest.hostMemory());
        guest.dirtyRings()
                .actFor(
                        0,
                        () -> {
                            MemorySegment version = MemorySegment.ofArray(new byte[4]);
                            if (!machine.read(gpa, version).isOk()) {
                                return;
                            }
                            machine.write(gpa, version);
                            machine.write(gpa, MemorySegment.ofArray(new byte[12]));
                            machine.write(gpa, version);
                        });
        agreement.note("wall clock gpa=0x%x".formatted(gpa));
        forgetTime(gpa);
    }

    private void forgetTime(long gpa) {
        for (long at = gpa; at < gpa + 12; at++) {
            Memslot slot = slots.find(Page.numberOf(at));
            if (slot == null || slot.isReadonly()) {
                continue;
            }
            long offset = slot.hvaOf(Page.numberOf(at)) - ourBases.hva + Page.offsetOf(at);
            if (offset >= 0 && offset < kernel.memory().byteSize()) {
                kernel.memory().set(ValueLayout.JAVA_BYTE, offset, (byte) 0);
                block.segment().set(ValueLayout.JAVA_BYTE, offset, (byte) 0);
            }
        }
    }

    void access(Access access, long gpa, int width, long value) {
        smm.deliver();
        List<Long> theirValues = new ArrayList<>();
        List<Long> ourValues = new ArrayList<>();
        List<String> theirs = kernel.access(access, gpa, width, value, theirValues);
        List<String> ours = modelAccess(access, gpa, width, value, ourValues);
        agreement.check(access + " gpa=0x%x width=%d".formatted(gpa, width), ours, theirs);
        agreement.check("loaded", ourValues, theirValues);
    }

    private List<String> modelAccess(
            Access access, long gpa, int width, long value, List<Long> loaded) {
        GuestAccess.Span span = new GuestAccess.Span(gpa, width, 1, 0);
        vcpu.submit(
                access == Access.READ
                        ? new GuestAccess.Load(span, (_, v) -> loaded.add(v))
                        : new GuestAccess.Store(span, value, 0));
        List<String> exits = new ArrayList<>();
        while (true) {
            VcpuExit exit;
            try {
                exit = vcpu.run();
            } catch (MdevException e) {
                exits.add(e.errno().name());
                return exits;
            }
            switch (exit) {
                case VcpuExit.Done _ -> {
                    exits.add("done");
                    return exits;
                }
                case VcpuExit.MmioRead read -> {
                    exits.add("load 0x%x/%d".formatted(read.gpa(), read.widthBytes()));
                    vcpu.completeMmioRead(0);
                }
                case VcpuExit.MmioWrite write ->
                        exits.add(
                                "store 0x%x/%d=0x%x"
                                        .formatted(write.gpa(), write.widthBytes(), write.value()));
                case VcpuExit.Fault fault -> {
                    exits.add(fault.refusal().errno().name());
                    return exits;
                }
                case VcpuExit.DirtyRingFull _ -> {
                    exits.add("ring full");
                    return exits;
                }
                case VcpuExit.Interrupted _ -> throw new AssertionError("nobody kicks");
            }
        }
    }

    /// Whether the machine has been given up.
    boolean isDead() {
        return slots.isDead();
    }

    /// Deletes all slots.
    void clearSlots() {
        for (int slot : List.copyOf(present.keySet())) {
            set(UserMemoryRegion.deletionOf(slot));
        }
    }

    void harvest(int limit) {
        List<List<String>> both = new ArrayList<>();
        for (DirtyRingHarvester harvester : harvesters) {
            List<String> entries = new ArrayList<>();
            harvester.harvest(
                    (slot, page) -> entries.add("slot=0x%x page=%d".formatted(slot, page)), limit);
            both.add(entries);
        }
        ringEntries += both.getFirst().size();
        agreement.check("harvest limit=" + limit, both.getLast(), both.getFirst());
    }

    /// Marks an entry as harvested out of turn, or rewrites one, in both rings alike.
    void tamper(SplittableRandom random) {
        long at = random.nextLong(rings.getFirst().byteSize() / 16) * 16;
        int kind = random.nextInt(3);
        int slot = random.nextInt(3) == 0 ? random.nextInt() : random.nextInt(4);
        long offset = random.nextInt(3) == 0 ? random.nextLong() : random.nextLong(100);
        for (MemorySegment ring : rings) {
            if (ring.get(ValueLayout.JAVA_INT, at) == 0) {
                return;
            }
            switch (kind) {
                case 0 -> ring.set(ValueLayout.JAVA_INT, at, 2);
                case 1 -> ring.set(ValueLayout.JAVA_INT, at + 4, slot);
                default -> ring.set(ValueLayout.JAVA_LONG, at + 8, offset);
            }
        }
        agreement.note("tamper at=%d kind=%d slot=%d offset=%d".formatted(at, kind, slot, offset));
    }

    void reset() {
        int theirs = kernel.resetDirtyRings();
        int ours = valueOrErrno(guest::resetDirtyRings);
        agreement.check("reset", ours, theirs);
    }

    void compareMemory() {
        agreement.check(
                "first byte of memory that differs",
                -1L,
                block.segment().mismatch(kernel.memory()));
    }

    static int errnoOf(Runnable request) {
        return -valueOrErrno(() -> {
            request.run();
            return 0;
        });
    }

    private static int valueOrErrno(Supplier<Integer> request) {
        try {
            return request.get();
        } catch (MdevException e) {
            assertThat(e.errno() == Errno.EIO)
                    .isEqualTo(String.valueOf(e.getMessage()).contains("is dead"));
            return -e.errno().code();
        }
    }

    @Override
    public void close() {
        vcpu.close();
        guest.close();
        hostMemory.close();
        kernel.close();
        arena.close();
    }
}
