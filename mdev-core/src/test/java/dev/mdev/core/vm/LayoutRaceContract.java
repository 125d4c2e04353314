package dev.mdev.core.vm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Page;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.hostmm.MemoryBackend;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotChange;
import dev.mdev.core.memslot.SlotListener;
import dev.mdev.core.memslot.SmmDesign;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

/// Four processors write and read RAM and the lower half of a BAR, while BARs of other devices move
/// over its upper half, and a thread copies all pages that the dirty log names. What the processors
/// use must never be absent, and the copy must be complete. A BAR that lies apart keeps its slot.
///
/// With system management mode, the four processors also use a segment of RAM below 1 MiB, half of
/// the time in that mode, while a fifth turns the other segments on and off and opens and closes
/// SMRAM.
@Tag("slow")
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
abstract class LayoutRaceContract {
    private static final int VCPUS = 4;
    private static final int MOVES = Integer.getInteger("mdev.layout.moves", 150);
    private static final long BASE = 1L << 33;

    /// A BAR that is far from all others.
    private static final long BYSTANDER = BASE + (16L << 20);

    private static final long BAR_IN_COPY = PciMachine.RAM_BYTES - BASE;
    private static final long ACCESSES = 8;

    /// In each of RAM and the BAR.
    private static final int PAGES_PER_VCPU = 2;

    private static final long RAM_FIRST_PAGE = 16;

    /// Segments of RAM that no register changes here: as many pages as the processors use.
    private static final long SEGMENT_GPA = 0xd0000;

    private static final long SEGMENT_END_GPA = 0xd8000;

    /// Of the register that turns them on and off.
    private static final int PAM_OF_SEGMENT = HostBridge.PAM0 + 3;

    private static final int CLOSED = 0x0a;
    private static final int OPEN = 0x4a;

    abstract Engine engine();

    SmmDesign smm() {
        return SmmDesign.NONE;
    }

    /// How often each device moves.
    int moves() {
        return MOVES;
    }

    abstract MemoryBackend backend();

    @Test
    void noPageIsAbsentOrLostAndNoSlotOfUntouchedMemoryChanges() throws Exception {
        race(new DirtyLogMode.Bitmap());
    }

    @Test
    void theSameHoldsWithManualProtection() throws Exception {
        race(new DirtyLogMode.ManualProtect(true));
    }

    @Test
    void theSameHoldsWithRings() throws Exception {
        race(new DirtyLogMode.Ring(256));
    }

    private void race(DirtyLogMode mode) throws Exception {
        MachineSpec spec =
                smm() == SmmDesign.NONE
                        ? new MachineSpec("vm", PciMachine.RAM_BYTES, VCPUS)
                        : new MachineSpec("vm", 4 * PciMachine.RAM_BYTES, VCPUS + 1, smm());
        try (PciMachine machine = new PciMachine(spec, engine(), backend())) {
            new Race(machine, spec, moves()).run(mode);
        }
    }

    /// A page of each kind of BAR: memory, and registers of a part of a page.
    private static final List<RegionInfo> MOVER =
            List.of(
                    RegionInfo.of(0, "page", Page.SIZE, RegionArea.Kind.LAZY),
                    RegionInfo.of(2, "registers", 256, RegionArea.Kind.TRAPPED));

    /// Two pages of a processor.
    private static final class Pair {
        private final long gpa;

        /// From an address to the place in the copy.
        private final long toCopy;

        private long value = -ACCESSES;

        Pair(long gpa, long toCopy) {
            this.gpa = gpa;
            this.toCopy = toCopy;
        }

        /// One of the accesses crosses from the first page into the second.
        Span span() {
            return new Span(gpa + 8, 8, ACCESSES, 1021);
        }
    }

    private static final class Race {
        private final PciMachine machine;
        private final MachineSpec spec;
        private final int moves;
        private final AttachedDevice target;
        private final List<AttachedDevice> movers = new ArrayList<>();
        private final AtomicBoolean moved = new AtomicBoolean();
        private final Changes changes;
        private final HvaRange targetMemory;

        /// The copy: the first MiB of RAM, then the target's BAR.
        private final byte[] copy;

        Race(PciMachine machine, MachineSpec spec, int moves) {
            this.machine = machine;
            this.spec = spec;
            this.moves = moves;
            changes = new Changes(hasSmm());
            target = machine.attach();
            target.config().write(0x10, 8, BASE);
            targetMemory = target.areas().getFirst().vma().range();
            machine.attach().config().write(0x10, 8, BYSTANDER);
            machine.driver.regions = MOVER;
            movers.add(machine.attach());
            movers.add(machine.attach());
            copy = new byte[(int) (PciMachine.RAM_BYTES + Page.bytesOf(PciDriver.PAGES))];
        }

        void run(DirtyLogMode mode) throws Exception {
            machine.vm.setDirtyLog(mode);
            machine.vm.slots().addListener(changes);
            List<CompletableFuture<Void>> guests = new ArrayList<>();
            for (int id = 0; id < VCPUS; id++) {
                int vcpu = id;
                guests.add(CompletableFuture.runAsync(() -> useMemory(vcpu), PciMachine.THREADS));
            }
            CompletableFuture<Void> copying =
                    CompletableFuture.runAsync(
                            () -> {
                                while (!moved.get()) {
                                    copyDirty();
                                }
                            },
                            PciMachine.THREADS);
            List<CompletableFuture<Void>> moving = new ArrayList<>();
            for (AttachedDevice mover : movers) {
                moving.add(CompletableFuture.runAsync(() -> move(mover), PciMachine.THREADS));
            }
            if (hasSmm()) {
                moving.add(CompletableFuture.runAsync(this::changeBridge, PciMachine.THREADS));
            }
            try {
                for (CompletableFuture<Void> one : moving) {
                    one.get();
                }
            } finally {
                moved.set(true);
            }
            for (CompletableFuture<Void> one : guests) {
                one.get();
            }
            copying.get();
            copyDirty();
            assertThat(Arrays.mismatch(copy, memory())).as("first byte that is lost").isEqualTo(-1);
            assertThat(changes.ofUsedRam.get()).as("changes of RAM in use").isZero();
            assertThat(changes.ofOtherRam.get() > 0).as("other RAM changed").isEqualTo(hasSmm());
            assertThat(changes.ofBars.get()).isPositive();
            assertThat(changes.ofBystander.get()).as("changes of a BAR apart").isZero();
        }

        private boolean hasSmm() {
            return spec.smm() != SmmDesign.NONE;
        }

        private void move(AttachedDevice mover) {
            SplittableRandom random = new SplittableRandom(mover.deviceNumber());
            for (int i = 0; i < moves; i++) {
                long page = BASE + Page.bytesOf(8 + random.nextInt(10));
                switch (random.nextInt(4)) {
                    case 0, 1 -> mover.config().write(0x10, 8, page);
                    case 2 -> mover.config().write(0x18, 8, page + 256L * random.nextInt(16));
                    default -> mover.config().write(0x04, 2, random.nextInt(3) == 0 ? 4 : 6);
                }
            }
        }

        /// A guest writes the registers of the host bridge.
        private void changeBridge() {
            SplittableRandom random = new SplittableRandom(1);
            long bridge = machine.vm.addresses().ecamGpa();
            for (int i = 0; i < moves; i++) {
                int register = HostBridge.PAM0 + random.nextInt(7);
                if (random.nextInt(4) == 0) {
                    store(bridge + HostBridge.SMRAM, random.nextBoolean() ? OPEN : CLOSED);
                } else if (register != PAM_OF_SEGMENT) {
                    store(bridge + register, random.nextInt(0x100));
                }
            }
        }

        private void store(long gpa, long value) {
            runOn(VCPUS, List.of(new GuestProgram.Step.Write(new Span(gpa, 1, 1, 0), value, 0)));
        }

        private List<StepResult> runOn(int vcpu, List<GuestProgram.Step> steps) {
            ProgramResult result =
                    machine.vm
                            .vcpu(vcpu)
                            .execute(new GuestProgram(steps, false), PciMachine.PATIENCE)
                            .join();
            assertThat(result.end()).as("%s", result).isEqualTo(ProgramResult.End.COMPLETED);
            return result.steps();
        }

        /// Stores to each pair of pages only after the copy has the previous store: so a page that
        /// is lost stays lost.
        private void useMemory(int vcpu) {
            List<Pair> pairs = pairsOf(vcpu);
            for (int round = 0; !moved.get(); round++) {
                List<GuestProgram.Step> steps = new ArrayList<>();
                for (Pair pair : pairs) {
                    if (isCopied(pair)) {
                        pair.value += ACCESSES;
                        steps.add(new GuestProgram.Step.Write(pair.span(), pair.value, 1));
                    }
                    steps.add(new GuestProgram.Step.Check(pair.span(), pair.value, 1));
                }
                if (hasSmm() && round % 2 == 0) {
                    steps.addFirst(new GuestProgram.Step.Smi());
                    steps.addLast(new GuestProgram.Step.Rsm());
                }
                for (StepResult step : runOn(vcpu, steps)) {
                    assertThat(step.mismatches()).as("%s", step).isZero();
                    assertThat(step.mmioExits()).as("%s", step).isZero();
                }
            }
        }

        private List<Pair> pairsOf(int vcpu) {
            Pair ofRam = new Pair(ramOf(vcpu), 0);
            Pair ofBar = new Pair(barOf(vcpu), BAR_IN_COPY);
            return hasSmm()
                    ? List.of(ofRam, ofBar, new Pair(segmentOf(vcpu), 0))
                    : List.of(ofRam, ofBar);
        }

        private boolean isCopied(Pair pair) {
            long first = pair.span().gpa() + pair.toCopy;
            long last = pair.span().gpaAt(ACCESSES - 1) + pair.toCopy;
            synchronized (copy) {
                return pair.value < 0
                        || (longAt(first) == pair.value
                                && longAt(last) == pair.value + ACCESSES - 1);
            }
        }

        private long longAt(long offset) {
            return MemorySegment.ofArray(copy).get(ValueLayout.JAVA_LONG_UNALIGNED, offset);
        }

        private static long ramOf(int vcpu) {
            return Page.bytesOf(RAM_FIRST_PAGE + (long) vcpu * PAGES_PER_VCPU);
        }

        private static long segmentOf(int vcpu) {
            return SEGMENT_GPA + Page.bytesOf((long) vcpu * PAGES_PER_VCPU);
        }

        private static long barOf(int vcpu) {
            return BASE + Page.bytesOf((long) vcpu * PAGES_PER_VCPU);
        }

        private void copyDirty() {
            List<Integer> pages = new ArrayList<>();
            machine.vm
                    .dirtyLog()
                    .take((host, word, bits) -> {
                        int first = firstPageOf(host);
                        int end = endOfCopied(host);
                        for (long left = bits; left != 0; left &= left - 1) {
                            int page = first + word * Long.SIZE + Long.numberOfTrailingZeros(left);
                            if (page < end) {
                                pages.add(page);
                            }
                        }
                    });
            synchronized (copy) {
                for (int page : pages) {
                    copyPage(page, copy);
                }
            }
        }

        /// The place in the copy of the start of a memory.
        private int firstPageOf(HvaRange host) {
            return host.equals(targetMemory) ? (int) Page.numberOf(PciMachine.RAM_BYTES) : 0;
        }

        /// The place in the copy after that memory's last page. Memory of a mover has none.
        private int endOfCopied(HvaRange host) {
            if (host.equals(targetMemory)) {
                return (int) Page.numberOf(copy.length);
            }
            boolean isRam = host.lengthBytes() == spec.ramBytes();
            return isRam ? (int) Page.numberOf(PciMachine.RAM_BYTES) : 0;
        }

        /// Other RAM than that in use may be hidden.
        private void copyPage(int page, byte[] into) {
            if (page >= Page.numberOf(PciMachine.RAM_BYTES) || changes.isUsed(page)) {
                read(page, into);
            }
        }

        private void read(int page, byte[] into) {
            MemorySegment bytes =
                    MemorySegment.ofArray(into).asSlice(Page.bytesOf(page), Page.SIZE);
            long inBar = Page.bytesOf(page) - PciMachine.RAM_BYTES;
            if (inBar >= 0) {
                machine.device(0).readMemory(inBar, bytes);
            } else {
                machine.device(0).memory().read(Page.bytesOf(page), bytes);
            }
        }

        private byte[] memory() {
            byte[] all = new byte[copy.length];
            for (int page = 0; page < Page.numberOf(all.length); page++) {
                copyPage(page, all);
            }
            return all;
        }
    }

    /// Counts the changes of slots.
    private static final class Changes implements SlotListener {
        private final boolean hasSmm;
        final AtomicInteger ofUsedRam = new AtomicInteger();
        final AtomicInteger ofOtherRam = new AtomicInteger();
        final AtomicInteger ofBars = new AtomicInteger();
        final AtomicInteger ofBystander = new AtomicInteger();

        Changes(boolean hasSmm) {
            this.hasSmm = hasSmm;
        }

        /// Whether nothing hides a frame of RAM.
        boolean isUsed(long gfn) {
            long gpa = Page.addressOf(gfn);
            return !hasSmm
                    || gpa < SmramRegions.LOW_GPA
                    || (gpa >= SEGMENT_GPA && gpa < SEGMENT_END_GPA);
        }

        @Override
        public void prepare(SlotChange change) {}

        @Override
        public void flush(Memslot invalid) {}

        @Override
        public void commit(SlotChange change) {
            Memslot slot = change.newSlot() != null ? change.newSlot() : change.oldSlot();
            if (slot != null && slot.gfns().contains(Page.numberOf(BYSTANDER))) {
                ofBystander.incrementAndGet();
            } else if (slot == null || slot.baseGfn() >= Page.numberOf(BASE)) {
                ofBars.incrementAndGet();
            } else {
                (isUsed(slot.baseGfn()) ? ofUsedRam : ofOtherRam).incrementAndGet();
            }
        }
    }
}
