package dev.mdev.core.memslot;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.guestmem.AccessOutcome;
import dev.mdev.core.guestmem.FakeHostMemory;
import dev.mdev.core.guestmem.GuestMemoryAccess;
import dev.mdev.core.guestmem.GuestMemoryCache;
import dev.mdev.core.guestmem.SlotAccessor;
import dev.mdev.core.guestmem.VcpuMemoryAccess;
import dev.mdev.core.memslot.ReferenceMemory.Kind;
import dev.mdev.core.memslot.ReferenceMemory.View;
import dev.mdev.core.memslot.ReferenceSlots.Slot;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.Stream;

/// Does random things, sensible and hostile, to a machine and to a plain reference of it, and
/// compares everything that can be seen: error numbers, generations, lookups, memory, dirty bits.
///
/// `-Dmdev.model.ops=N` sets how many operations each configuration gets, `-Dmdev.seed=N` repeats a
/// run.
@Tag("slow")
class SlotModelTest {
    private static final int OPS = Integer.getInteger("mdev.model.ops", 400_000);
    private static final int OPS_BETWEEN_FULL_COMPARISONS = 2000;

    private static final long MAX_GFN = 95;

    static Stream<SlotConfig> configurations() {
        long hvaLimit = 0x7fff_ffff_f000L;
        return Stream.of(
                new SlotConfig(2, MAX_GFN, hvaLimit, false),
                new SlotConfig(1, MAX_GFN, hvaLimit, true),
                new SlotConfig(3, MAX_GFN, hvaLimit, false));
    }

    @ParameterizedTest
    @MethodSource("configurations")
    void machineAndReferenceNeverDiffer(SlotConfig config) {
        long seed = Seeds.fresh();
        Run run = new Run(config, new SplittableRandom(seed));
        for (int op = 0; op < OPS; op++) {
            try {
                run.step();
                if (op % OPS_BETWEEN_FULL_COMPARISONS == 0) {
                    run.compareAll();
                }
            } catch (AssertionError | RuntimeException e) {
                throw new AssertionError(
                        "-Dmdev.seed=%d config=%s op=%d: %s"
                                .formatted(seed, config, op, run.last.get()),
                        e);
            }
        }
        run.compareAll();
        // A run that is refused nearly everything compares nearly nothing.
        assertThat(run.changes).as("changes carried out").isGreaterThan(OPS / 20);
        assertThat(run.refusals).as("requests refused").isGreaterThan(OPS / 50);
        assertThat(run.copies).as("copies that reached memory").isGreaterThan(OPS / 50);
    }

    private static final class Run {
        final SlotConfig config;
        final SplittableRandom random;
        final AddressSpaces spaces;
        final FakeHostMemory host = new FakeHostMemory();
        final GuestMemoryAccess machine;
        final VcpuMemslots[] vcpus = new VcpuMemslots[2];
        final VcpuMemoryAccess[] vcpuMemory = new VcpuMemoryAccess[2];
        final GuestMemoryCache cache;
        final RecordingListener listener = new RecordingListener();
        final ReferenceSlots expected;
        final AnyRegion regions;
        final ReferenceMemory memory;
        final ReferenceCache expectedCache = new ReferenceCache();

        /// What is being done now, in words only if it is asked for.
        Supplier<String> last = () -> "nothing yet";

        int changes;
        int refusals;
        int copies;

        Run(SlotConfig config, SplittableRandom random) {
            this.config = config;
            this.random = random;
            spaces = new AddressSpaces(config);
            spaces.addListener(listener);
            spaces.setBitmapPolicy(limited(BitmapPolicy.ZEROS));
            machine = new GuestMemoryAccess(spaces, host);
            cache = new GuestMemoryCache(spaces, host);
            for (int i = 0; i < vcpus.length; i++) {
                vcpus[i] = new VcpuMemslots(spaces, i);
                vcpuMemory[i] = new VcpuMemoryAccess(vcpus[i], host);
            }
            expected = new ReferenceSlots(config);
            regions = new AnyRegion(config, expected, random);
            memory = new ReferenceMemory(expected);
            host.mapPages(AnyRegion.HVA, AnyRegion.HOST_PAGES);
            memory.host.mapPages(AnyRegion.HVA, AnyRegion.HOST_PAGES);
        }

        void step() {
            int die = random.nextInt(100);
            if (die < 30) {
                setRegion(die < 24 ? regions.sensible() : regions.hostile());
            } else if (die < 55) {
                lookUp();
            } else if (die < 80) {
                copy();
            } else if (die < 85) {
                compareExchange();
            } else if (die < 92) {
                useCache();
            } else if (die < 95) {
                changeMode();
            } else if (die < 98) {
                changeHost();
            } else {
                changePolicy();
            }
        }

        void setRegion(UserMemoryRegion region) {
            last = () -> "set " + region;
            listener.heard.clear();
            Errno wanted = expected.set(region);
            Errno got = null;
            try {
                spaces.setUserMemoryRegion(region);
                changes++;
            } catch (MdevException e) {
                got = e.errno();
                refusals++;
            }
            require(wanted == got, wanted, got);
            for (int asId = 0; asId < config.addressSpaces(); asId++) {
                MemslotSet set = spaces.active(asId);
                require(
                        set.generation() == expected.generation(asId),
                        expected.generation(asId),
                        set.generation());
                require(set.size() == expected.size(asId), expected.size(asId), set.size());
            }
        }

        void lookUp() {
            long gfn = random.nextInt(AnyRegion.GFNS);
            switch (random.nextInt(5)) {
                case 0 -> {
                    last = () -> "machine finds gfn " + gfn;
                    requireSame(expected.find(0, gfn, false), spaces.find(gfn));
                }
                case 1, 2 -> {
                    int vcpu = random.nextInt(vcpus.length);
                    View view = view(vcpu);
                    last = () -> "vcpu %d %s finds gfn %d".formatted(vcpu, view, gfn);
                    requireSame(
                            expected.find(view.asId(), gfn, view.inSmm()), vcpus[vcpu].find(gfn));
                }
                case 3 -> findByGfns(gfn);
                default -> findByHvas();
            }
        }

        void findByGfns(long gfn) {
            int asId = random.nextInt(config.addressSpaces());
            GfnRange gfns = new GfnRange(gfn, 1 + random.nextInt(20));
            last = () -> "slots of as %d in %s".formatted(asId, gfns);
            List<Integer> got = new ArrayList<>();
            spaces.active(asId).forEachIn(gfns, slot -> got.add(slot.id()));
            List<Integer> wanted = new ArrayList<>();
            for (Slot slot : expected.slots(asId)) {
                if (slot.gfn() < gfns.endGfn() && gfn < slot.gfn() + slot.npages()) {
                    wanted.add(slot.id());
                }
            }
            require(wanted.equals(got), wanted, got);
        }

        void findByHvas() {
            HvaRange hvas =
                    HvaRange.ofPages(
                            AnyRegion.HVA + Page.addressOf(random.nextInt(AnyRegion.HOST_PAGES)),
                            1 + random.nextInt(8));
            last = () -> "slots in " + hvas;
            List<Integer> got = new ArrayList<>();
            spaces.forEachIn(hvas, slot -> got.add(slot.slotNumber()));
            List<Integer> wanted = new ArrayList<>();
            for (int asId = 0; asId < config.addressSpaces(); asId++) {
                for (Slot slot : expected.slots(asId)) {
                    long end = slot.hva() + Page.addressOf(slot.npages());
                    if (slot.hva() < hvas.endHva() && hvas.startHva() < end) {
                        wanted.add(asId << 16 | slot.id());
                    }
                }
            }
            got.sort(null);
            wanted.sort(null);
            require(wanted.equals(got), wanted, got);
        }

        void copy() {
            int who = random.nextInt(3) - 1;
            View view = who < 0 ? View.MACHINE : view(who);
            SlotAccessor accessor = who < 0 ? machine : vcpuMemory[who];
            long gpa = gpa();
            byte[] bytes = new byte[length()];
            random.nextBytes(bytes);
            int die = random.nextInt(10);
            Kind kind = die < 4 ? Kind.READ : die < 5 ? Kind.READ_WITHOUT_FAULT : Kind.WRITE;
            boolean clear = kind == Kind.WRITE && random.nextInt(8) == 0;
            last =
                    () ->
                            "%s %s clear=%s gpa=0x%x+%d"
                                    .formatted(view, kind, clear, gpa, bytes.length);
            if (clear) {
                Arrays.fill(bytes, (byte) 0);
            }
            byte[] wantedBytes = bytes.clone();
            boolean wanted = memory.copy(view, gpa, wantedBytes, kind);
            MemorySegment segment = MemorySegment.ofArray(bytes);
            AccessOutcome got =
                    switch (kind) {
                        case READ -> accessor.read(gpa, segment);
                        case READ_WITHOUT_FAULT -> accessor.readWithoutFault(gpa, segment);
                        case WRITE ->
                                clear
                                        ? accessor.clear(gpa, bytes.length)
                                        : accessor.write(gpa, segment);
                    };
            require(wanted == got.isOk(), wanted, got);
            require(Arrays.equals(wantedBytes, bytes), "the same bytes", "others");
            copies += wanted ? 1 : 0;
            if (random.nextInt(8) == 0) {
                accessor.markPageDirty(Page.numberOf(gpa));
                memory.markPageDirty(view, Page.numberOf(gpa));
            }
        }

        void compareExchange() {
            int vcpu = random.nextInt(vcpus.length);
            int size = 1 << random.nextInt(4);
            long gpa = gpa() & -size;
            // Memory is often zero here, as clears are frequent: both outcomes occur.
            long old = random.nextInt(3) == 0 ? 0 : random.nextLong();
            long next = random.nextLong();
            last = () -> "vcpu %d cmpxchg gpa=0x%x size=%d".formatted(vcpu, gpa, size);
            Object wanted = memory.compareExchange(view(vcpu), gpa, size, old, next);
            Object got = vcpuMemory[vcpu].compareExchange(gpa, size, old, next);
            require(wanted.equals(got), wanted, got);
        }

        void useCache() {
            long generation = expected.generation(0);
            if (random.nextInt(4) == 0) {
                long gpa = gpa();
                long length = 1 + random.nextLong(random.nextLong(1, 6000));
                last = () -> "cache init gpa=0x%x+%d".formatted(gpa, length);
                boolean writable = memory.isWritable(View.MACHINE, gpa, length);
                AccessOutcome got = cache.init(gpa, length);
                require(writable == got.isOk(), writable, got);
                expectedCache.init(generation, writable, gpa, length);
            } else if (expectedCache.length > 0) {
                int offset = random.nextInt((int) expectedCache.length);
                int room = (int) Math.min(64, expectedCache.length - offset);
                byte[] bytes = new byte[random.nextInt(room + 1)];
                random.nextBytes(bytes);
                boolean write = random.nextBoolean();
                last = () -> "cache write=%s offset=%d+%d".formatted(write, offset, bytes.length);
                byte[] wantedBytes = bytes.clone();
                boolean wanted =
                        expectedCache.isGood(generation, memory)
                                && bytesMove(write, offset, wantedBytes);
                MemorySegment segment = MemorySegment.ofArray(bytes);
                AccessOutcome got =
                        write ? cache.write(offset, segment) : cache.read(offset, segment);
                require(wanted == got.isOk(), wanted, got);
                require(Arrays.equals(wantedBytes, bytes), "the same bytes", "others");
            }
        }

        boolean bytesMove(boolean write, int offset, byte[] bytes) {
            boolean inOnePage =
                    Page.offsetOf(expectedCache.gpa) + expectedCache.length <= Page.SIZE;
            if (write && bytes.length == 0 && inOnePage) {
                memory.markPageDirty(View.MACHINE, Page.numberOf(expectedCache.gpa));
            }
            Kind kind = write ? Kind.WRITE : Kind.READ;
            return memory.copy(View.MACHINE, expectedCache.gpa + offset, bytes, kind);
        }

        void changeMode() {
            if (config.supportsSmm()) {
                int vcpu = random.nextInt(vcpus.length);
                vcpus[vcpu].setInSmm(!vcpus[vcpu].isInSmm());
            }
        }

        void changeHost() {
            long hva = AnyRegion.HVA + Page.addressOf(random.nextInt(AnyRegion.HOST_PAGES));
            for (FakeHostMemory each : List.of(host, memory.host)) {
                if (!each.isMapped(hva)) {
                    each.mapPages(hva, 1);
                }
            }
            switch (random.nextInt(20)) {
                case 0 -> onBoth(each -> each.unmapPage(hva));
                case 1 -> onBoth(each -> each.setReadOnly(hva));
                case 2 -> onBoth(each -> each.setResident(hva, false));
                case 3 -> {
                    int bytes = random.nextInt(Page.SIZE);
                    onBoth(each -> each.breakWritesAfter(hva, bytes));
                }
                default -> onBoth(each -> each.mapPages(hva, 1));
            }
        }

        void onBoth(Consumer<FakeHostMemory> change) {
            change.accept(host);
            change.accept(memory.host);
        }

        void changePolicy() {
            switch (random.nextInt(8)) {
                case 0 -> {
                    expected.bitmapPolicy = '-';
                    spaces.setBitmapPolicy(BitmapPolicy.NONE);
                }
                case 1 -> {
                    expected.bitmapPolicy = '1';
                    spaces.setBitmapPolicy(limited(BitmapPolicy.ALL_ONES));
                }
                case 2 -> {
                    expected.refusal = Errno.ENOMEM;
                    listener.refuseWith(Errno.ENOMEM);
                }
                default -> {
                    expected.bitmapPolicy = '0';
                    spaces.setBitmapPolicy(limited(BitmapPolicy.ZEROS));
                    expected.refusal = null;
                    listener.refuseWith(null);
                }
            }
        }

        /// Bitmaps beyond the limit do not fit the heap.
        static BitmapPolicy limited(BitmapPolicy policy) {
            return npages -> {
                if (npages > ReferenceSlots.MAX_BITMAP_PAGES) {
                    throw new OutOfMemoryError("for the test: npages=" + npages);
                }
                return policy.newBitmap(npages);
            };
        }

        void compareAll() {
            require(
                    spaces.totalPages() == expected.totalPages(),
                    expected.totalPages(),
                    spaces.totalPages());
            require(
                    spaces.loggingSlots() == expected.loggingSlots(),
                    expected.loggingSlots(),
                    spaces.loggingSlots());
            for (int asId = 0; asId < config.addressSpaces(); asId++) {
                for (Slot slot : expected.slots(asId)) {
                    Memslot got = Objects.requireNonNull(spaces.active(asId).byId(slot.id()));
                    requireSame(slot, got);
                    requireSameBits(slot, got);
                }
            }
            for (int page = 0; page < AnyRegion.HOST_PAGES; page++) {
                long hva = AnyRegion.HVA + Page.addressOf(page);
                require(host.isMapped(hva) == memory.host.isMapped(hva), page, "other mapping");
                if (host.isMapped(hva)) {
                    require(
                            Arrays.equals(host.pageAt(hva), memory.host.pageAt(hva)),
                            "the same page " + page,
                            "another content");
                }
            }
        }

        void requireSame(@Nullable Slot wanted, @Nullable Memslot got) {
            boolean same =
                    (wanted == null || got == null)
                            ? wanted == null && got == null
                            : got.id() == wanted.id()
                                    && got.asId() == wanted.asId()
                                    && got.flags() == wanted.flags()
                                    && got.baseGfn() == wanted.gfn()
                                    && got.npages() == wanted.npages()
                                    && got.hva() == wanted.hva();
            require(same, wanted, got);
        }

        void requireSameBits(Slot wanted, Memslot got) {
            DirtyBitmap bitmap = got.bitmap();
            require((wanted.dirty() == null) == (bitmap == null), wanted, got);
            for (int page = 0; bitmap != null && page < wanted.npages(); page++) {
                boolean dirty = Objects.requireNonNull(wanted.dirty()).get(page);
                require(dirty == bitmap.test(page), wanted, "page %d of %s".formatted(page, got));
            }
        }

        View view(int vcpu) {
            boolean inSmm = vcpus[vcpu].isInSmm();
            return new View(inSmm && !config.smramFlag() ? 1 : 0, inSmm);
        }

        long gpa() {
            long gpa = Page.addressOf(random.nextInt(AnyRegion.GFNS));
            // Often close to a page's end.
            return gpa
                    + (random.nextBoolean()
                            ? Page.SIZE - 1 - random.nextInt(12)
                            : random.nextInt(Page.SIZE));
        }

        int length() {
            int die = random.nextInt(100);
            return die < 3 ? 0 : die < 97 ? 1 + random.nextInt(24) : random.nextInt(3 * Page.SIZE);
        }

        static void require(boolean holds, @Nullable Object wanted, @Nullable Object got) {
            if (!holds) {
                throw new AssertionError("wanted %s, got %s".formatted(wanted, got));
            }
        }
    }
}
