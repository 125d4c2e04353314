package dev.mdev.core.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;

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
import dev.mdev.core.engine.software.SoftwareVcpu;
import dev.mdev.core.guestmem.GuestMemoryAccess;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.gate.Deadlines;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
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

    /// Pages of the largest slot that is kept.
    private static final long MAX_PAGES = 1024;

    private final Arena arena = Arena.ofShared();
    private final KvmOracle kernel;
    private final HostMemory hostMemory = new HostMemory(new OffHeapBackend());
    private final HostMemory.Block block = hostMemory.allocate("model", NPAGES);
    private final AddressSpaces slots;
    private final SoftwareGuest guest;
    private final SoftwareVcpu vcpu;
    private final long modelHva;
    private final List<MemorySegment> rings = new ArrayList<>();
    private final List<DirtyRingHarvester> harvesters = new ArrayList<>();

    /// What was done last, for failures.
    private final ArrayDeque<String> history = new ArrayDeque<>();

    private final Map<Integer, UserMemoryRegion> present = new HashMap<>();
    int succeeded;
    int ringEntries;

    KernelAndModel(int ringBytes) {
        kernel = new KvmOracle(NPAGES, ringBytes);
        slots = new AddressSpaces(kernel.config());
        guest = new SoftwareEngine(Deadlines.HANG).createGuest(slots, hostMemory);
        modelHva = guest.hostMm().mapEagerly(block.pfns(), Prot.READ_WRITE).range().startHva();
        if (ringBytes != 0) {
            guest.dirtyModes().enable(DirtyModes.RING, 0, ringBytes);
        }
        vcpu = guest.createVcpu(0);
        if (ringBytes != 0) {
            rings.add(kernel.ring());
            rings.add(Objects.requireNonNull(guest.dirtyRings().ringOf(0)).memory());
            rings.forEach(ring -> harvesters.add(new DirtyRingHarvester(ring)));
        }
    }

    /// @param region its host address counts from the start of guest memory, unless it is far
    void set(UserMemoryRegion region) {
        if (meetsTheModelsAddresses(region)) {
            // Where the model has memory, the kernel has none.
            return;
        }
        int theirs = kernel.set(at(region, kernel.hva()));
        int ours = errnoOf(() -> slots.setUserMemoryRegion(at(region, modelHva)));
        agree("set " + region, ours, theirs);
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

    @Nullable UserMemoryRegion former(int slot) {
        return present.get(slot);
    }

    private boolean meetsTheModelsAddresses(UserMemoryRegion region) {
        long end = modelHva + Page.bytesOf(NPAGES);
        return region.hva() >= 0
                && region.hva() < end
                && region.sizeBytes() > modelHva - region.hva()
                && at(region, 0).hva() == at(region, modelHva).hva();
    }

    private static UserMemoryRegion at(UserMemoryRegion region, long base) {
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
                near ? base + region.hva() : region.hva());
    }

    void get(int slot, boolean unwritable) {
        MemorySegment theirs = arena.allocate(MAX_PAGES / Byte.SIZE, Long.BYTES);
        MemorySegment ours = arena.allocate(MAX_PAGES / Byte.SIZE, Long.BYTES);
        int theirErrno = kernel.getDirtyLog(slot, unwritable ? MemorySegment.ofAddress(8) : theirs);
        int ourErrno =
                errnoOf(() -> guest.dirtyLog().get(slot, unwritable ? MemorySegment.NULL : ours));
        agree("get slot=0x%x unwritable=%s".formatted(slot, unwritable), ourErrno, theirErrno);
        agree("dirty pages of it", KvmOracle.words(ours), KvmOracle.words(theirs));
    }

    void clear(DirtyLogClear part, long bits) {
        MemorySegment named = arena.allocate(MAX_PAGES / Byte.SIZE, Long.BYTES);
        for (long at = 0; at < named.byteSize(); at += Long.BYTES) {
            named.set(ValueLayout.JAVA_LONG, at, Long.rotateLeft(bits, (int) at));
        }
        agree(
                "clear " + part,
                errnoOf(() -> guest.dirtyLog().clear(part, named)),
                kernel.clearDirtyLog(part, named));
    }

    void enable(int capability, long value) {
        enable(capability, 0, value);
    }

    void enable(int capability, int flags, long value) {
        agree(
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
        history.add("wall clock gpa=0x%x".formatted(gpa));
        forgetTime(gpa);
    }

    private void forgetTime(long gpa) {
        for (long at = gpa; at < gpa + 12; at++) {
            Memslot slot = slots.find(Page.numberOf(at));
            if (slot == null || slot.isReadonly()) {
                continue;
            }
            long offset = slot.hvaOf(Page.numberOf(at)) - modelHva + Page.offsetOf(at);
            if (offset >= 0 && offset < kernel.memory().byteSize()) {
                kernel.memory().set(ValueLayout.JAVA_BYTE, offset, (byte) 0);
                block.segment().set(ValueLayout.JAVA_BYTE, offset, (byte) 0);
            }
        }
    }

    void access(Access access, long gpa, int width, long value) {
        List<Long> theirValues = new ArrayList<>();
        List<Long> ourValues = new ArrayList<>();
        List<String> theirs = kernel.access(access, gpa, width, value, theirValues);
        List<String> ours = modelAccess(access, gpa, width, value, ourValues);
        agree(access + " gpa=0x%x width=%d".formatted(gpa, width), ours, theirs);
        agree("loaded", ourValues, theirValues);
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
            switch (vcpu.run()) {
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

    void harvest(int limit) {
        List<List<String>> both = new ArrayList<>();
        for (DirtyRingHarvester harvester : harvesters) {
            List<String> entries = new ArrayList<>();
            harvester.harvest(
                    (slot, page) -> entries.add("slot=0x%x page=%d".formatted(slot, page)), limit);
            both.add(entries);
        }
        ringEntries += both.getFirst().size();
        agree("harvest limit=" + limit, both.getLast(), both.getFirst());
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
        history.add("tamper at=%d kind=%d slot=%d offset=%d".formatted(at, kind, slot, offset));
    }

    void reset() {
        int theirs = kernel.resetDirtyRings();
        int ours = valueOrErrno(guest::resetDirtyRings);
        agree("reset", ours, theirs);
    }

    void compareMemory() {
        agree("first byte of memory that differs", -1L, block.segment().mismatch(kernel.memory()));
    }

    private void agree(String what, Object ours, Object theirs) {
        history.add(what + " -> " + theirs);
        if (history.size() > 40) {
            history.removeFirst();
        }
        if (!ours.equals(theirs)) {
            throw new AssertionError(
                    "%s: ours=%s kernel=%s after%n%s"
                            .formatted(
                                    what,
                                    ours,
                                    theirs,
                                    String.join(System.lineSeparator(), history)));
        }
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
            assertThat(e.errno()).isNotEqualTo(Errno.EIO);
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
