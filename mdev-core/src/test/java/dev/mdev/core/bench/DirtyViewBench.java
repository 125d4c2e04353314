package dev.mdev.core.bench;

import dev.mdev.api.page.Page;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.DirtyBackingBlock;
import dev.mdev.core.memslot.DirtyBackingView;
import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.memslot.DirtyHardware;
import dev.mdev.core.memslot.DirtyLog;
import dev.mdev.core.memslot.DirtyModes;
import dev.mdev.core.memslot.DirtyProtector;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.SlotFlags;
import dev.mdev.core.memslot.UserMemoryRegion;

import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

import java.util.Objects;
import java.util.concurrent.TimeUnit;

/// What the view by backing memory costs when it is collected, beside collecting slot by slot: 64
/// GiB that two slots show, each with its own log. Write-protecting the pages again is not part of
/// it.
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 20)
@Measurement(iterations = 20)
@Fork(1)
@State(Scope.Benchmark)
public class DirtyViewBench {
    private static final long NPAGES = 1L << 24;
    private static final long HVA = 0x10_0000_0000L;

    /// Of every 100 pages, in each of the two slots, in different places.
    @Param({"0", "1", "50"})
    int dirtyPercent;

    private final AddressSpaces slots = new AddressSpaces(SlotConfig.withoutSmm());
    private final DirtyModes modes =
            new DirtyModes(slots, DirtyHardware.x86(), DirtyModes.RingDefect.AVOIDED);
    private final DirtyLog log = new DirtyLog(slots, modes, new NoProtector());
    private final DirtyBackingView view = DirtyBackingView.attach(slots, log);
    private final DirtyBackingBlock block = view.addBlock(HvaRange.ofPages(HVA, NPAGES));

    private static final class NoProtector implements DirtyProtector {
        @Override
        public void protect(Memslot slot, long baseIndex, long bits) {}

        @Override
        public void protectWords(Memslot slot, long baseIndex, long[] words, int count) {}

        @Override
        public void flush() {}
    }

    @Setup
    public void create() {
        slots.setBitmapPolicy(modes);
        for (int slot = 0; slot < 2; slot++) {
            slots.setUserMemoryRegion(
                    new UserMemoryRegion(
                            slot,
                            SlotFlags.LOG_DIRTY_PAGES,
                            slot * Page.bytesOf(NPAGES),
                            Page.bytesOf(NPAGES),
                            HVA));
        }
    }

    @Setup(Level.Invocation)
    public void dirty() {
        for (int slot = 0; slot < 2; slot++) {
            DirtyBitmap bitmap =
                    Objects.requireNonNull(Objects.requireNonNull(slots.slotOf(slot)).bitmap());
            if (dirtyPercent == 50) {
                for (int word = 0; word < bitmap.words(); word++) {
                    bitmap.setAll(word, 0x5555_5555_5555_5555L << slot);
                }
            } else if (dirtyPercent == 1) {
                for (long page = slot; page < NPAGES; page += 100) {
                    bitmap.set(page);
                }
            }
        }
    }

    /// Each slot by itself: a page that both show may come twice.
    @Benchmark
    public long slotBySlot() {
        long[] pages = new long[1];
        log.collect(0, (word, bits) -> pages[0] += Long.bitCount(bits));
        log.collect(1, (word, bits) -> pages[0] += Long.bitCount(bits));
        return pages[0];
    }

    /// Each page once.
    @Benchmark
    public long byBackingMemory() {
        long[] pages = new long[1];
        view.collectBitmaps();
        block.dirty().harvest((word, bits) -> pages[0] += Long.bitCount(bits));
        return pages[0];
    }
}
