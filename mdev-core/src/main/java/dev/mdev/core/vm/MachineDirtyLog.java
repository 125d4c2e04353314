package dev.mdev.core.vm;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.dirty.DirtyBackingBlock;
import dev.mdev.core.dirty.DirtyBackingView;
import dev.mdev.core.dirty.DirtyLog;
import dev.mdev.core.dirty.DirtyLogClear;
import dev.mdev.core.dirty.DirtyRingCollector;
import dev.mdev.core.engine.GuestEngine;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.memslot.DirtyWords;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;

/// The log of writes to a machine's memory: RAM and the mapped areas of its devices.
///
/// Any thread may call the methods. All that read or change the log throw ESHUTDOWN if the machine
/// is closed.
///
/// Every read of the log takes the entries of dirty rings into it first, and so does a processor
/// whose ring is full, before it continues ([DirtyRingCollector]).
///
/// While it is on, the dirty pages of a slot that is cut, or goes and comes back, go over to the
/// slots that show the same memory afterwards ([DirtyBackingView#carryOver]).
public final class MachineDirtyLog {
    /// The maximum number of runs in an answer.
    public static final int MAX_RUNS = 1 << 16;

    private static final DirtyLogMode OFF = new DirtyLogMode.Off();

    private final AddressSpaces slots;
    private final MemoryLayout layout;
    private final GuestEngine engine;
    private final DirtyLog log;
    private final DirtyBackingView view;
    private final ReentrantLock lock = new ReentrantLock();

    /// The memory that slots may show.
    @GuardedBy("lock")
    private final Map<HvaRange, DirtyPages.Of> memory = new LinkedHashMap<>();

    /// Its blocks while the log is on, otherwise empty.
    @GuardedBy("lock")
    private final Map<HvaRange, DirtyBackingBlock> blocks = new LinkedHashMap<>();

    @GuardedBy("lock")
    private DirtyLogMode mode = OFF;

    /// Whether a [Copying] uses the log.
    @GuardedBy("lock")
    private boolean copying;

    private final AtomicLong taken = new AtomicLong();

    /// Keeps the machine from ending while the engine's log is read.
    private final Operations operations;

    MachineDirtyLog(
            AddressSpaces slots, GuestEngine engine, MemoryLayout layout, Operations operations) {
        this.slots = slots;
        this.operations = operations;
        this.engine = engine;
        this.layout = layout;
        log = engine.dirtyLog();
        engine.dirtyModes().collectRings();
        view = DirtyBackingView.attach(slots, log);
        view.carryOver();
    }

    /// Adds memory, before a slot shows it.
    void add(HvaRange host, DirtyPages.Of of) {
        lock.lock();
        try {
            memory.put(host, of);
            if (!mode.equals(OFF)) {
                blocks.put(host, view.addBlock(host));
            }
        } finally {
            lock.unlock();
        }
    }

    /// Removes memory, when no slot shows it any more.
    void remove(HvaRange host) {
        lock.lock();
        try {
            memory.remove(host);
            removeBlockLocked(host);
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private void removeBlockLocked(HvaRange host) {
        DirtyBackingBlock block = blocks.remove(host);
        if (block != null) {
            view.removeBlock(block);
        }
    }

    /// How writes are logged now.
    public DirtyLogMode mode() {
        lock.lock();
        try {
            return mode;
        } finally {
            lock.unlock();
        }
    }

    /// The dirty pages of each slot of the machine's memory; they stay dirty.
    public Answer slots() {
        return whileOpen(
                () -> SlotRuns.of(slots, (slot, words) -> log.peek(slot.slotNumber(), words)));
    }

    private <T> T whileOpen(Supplier<T> work) {
        operations.begin();
        try {
            return work.get();
        } finally {
            operations.end();
        }
    }

    /// Takes the dirty pages of each slot (`KVM_GET_DIRTY_LOG`): the next write to one makes it
    /// dirty again. Copy the pages only after this has returned. Pages beyond [#MAX_RUNS] stay
    /// dirty.
    ///
    /// @throws MdevException EBUSY if the machine is being saved
    public Answer takeSlots() {
        return whileOurs(() -> {
            Answer answer =
                    SlotRuns.of(
                            slots,
                            (slot, words) -> {
                                var _ = log.collect(slot.slotNumber(), words);
                            });
            taken.addAndGet(answer.dirty());
            return answer;
        });
    }

    /// Runs what takes pages from the log, unless they belong to a copy of RAM.
    private <T> T whileOurs(Supplier<T> work) {
        return whileOpen(() -> {
            lock.lock();
            try {
                requireNoCopyLocked();
                return work.get();
            } finally {
                lock.unlock();
            }
        });
    }

    @GuardedBy("lock")
    private void requireNoCopyLocked() {
        if (copying) {
            throw busy("the machine is being saved, which uses its dirty log");
        }
    }

    /// Takes named pages of one slot (`KVM_CLEAR_DIRTY_LOG`): the dirty ones of them become clean,
    /// and the next write makes them dirty again.
    ///
    /// @param part begins at a multiple of 64 pages, and is a multiple of 64 pages long or reaches
    ///   to the slot's end
    /// @throws MdevException EBUSY with rings, or if the machine is being saved; otherwise as
    ///   [DirtyLog#clear]
    public void takePart(DirtyLogClear part) {
        if (engine.dirtyModes().usesRing()) {
            throw busy("with dirty rings, only the whole log can be cleared");
        }
        // An invalid number of pages is refused before the words are read.
        int words = DirtyBitmap.wordsFor(Math.min(part.npagesUnsigned(), DirtyBitmap.MAX_PAGES));
        long[] all = new long[words];
        Arrays.fill(all, -1L);
        var _ =
                whileOurs(() -> {
                    log.clear(part, MemorySegment.ofArray(all));
                    return part;
                });
    }

    /// Pages that were taken so far, those of [#takePart] excepted.
    public long taken() {
        return taken.get();
    }

    /// Entries that were taken from dirty rings so far.
    public long harvested() {
        return engine.ringCollector().harvested();
    }

    /// How often a processor stopped because its dirty ring was full.
    public long full() {
        return engine.ringCollector().full();
    }

    /// The dirty pages of RAM and of each mapped area, each once, in whichever slots it was
    /// written; they stay dirty.
    public Answer memory() {
        return whileOpen(this::memoryWhileOpen);
    }

    private Answer memoryWhileOpen() {
        lock.lock();
        try {
            List<DirtyPages> found = new ArrayList<>();
            int room = MAX_RUNS;
            boolean more = false;
            for (Map.Entry<HvaRange, DirtyBackingBlock> entry : blocks.entrySet()) {
                DirtyRuns runs = new DirtyRuns();
                int left = room;
                boolean[] cut = new boolean[1];
                view.peek(entry.getValue())
                        .forEachWord((word, bits) -> {
                            if (runs.size() + Long.SIZE <= left) {
                                runs.add(word, bits);
                            } else {
                                cut[0] = true;
                            }
                        });
                HvaRange host = entry.getKey();
                room -= runs.size();
                more |= cut[0];
                found.add(
                        new DirtyPages(
                                Objects.requireNonNull(memory.get(host)),
                                host.npages(),
                                runs.all()));
            }
            return new Answer(found, more);
        } finally {
            lock.unlock();
        }
    }

    /// The number of dirty pages of RAM and of all mapped areas, each once; they stay dirty.
    public long dirtyPages() {
        return whileOpen(this::dirtyPagesWhileOpen);
    }

    private long dirtyPagesWhileOpen() {
        lock.lock();
        try {
            long[] count = new long[1];
            for (DirtyBackingBlock block : blocks.values()) {
                view.peek(block).forEachWord((_, bits) -> count[0] += Long.bitCount(bits));
            }
            return count[0];
        } finally {
            lock.unlock();
        }
    }

    /// Dirty pages.
    ///
    /// @param more whether there are more, which stay dirty
    public record Answer(List<DirtyPages> parts, boolean more) {
        public Answer {
            parts = List.copyOf(parts);
        }

        /// The number of dirty pages.
        public long dirty() {
            return parts.stream().mapToLong(DirtyPages::dirty).sum();
        }
    }

    /// Takes all dirty pages, each once, in whichever slots it was written. Copy the pages only
    /// after this has returned.
    ///
    /// @param sink gets them with locks held: it must not use the machine
    void take(Sink sink) {
        lock.lock();
        try {
            slots.slotsLock().lock();
            try {
                view.collectBitmaps();
                blocks.forEach((host, block) ->
                        block.dirty().harvest((word, bits) -> sink.accept(host, word, bits)));
            } finally {
                slots.slotsLock().unlock();
            }
        } finally {
            lock.unlock();
        }
    }

    /// Takes dirty pages.
    @FunctionalInterface
    interface Sink {
        /// @param host a block of memory
        /// @param word which 64 pages of it
        /// @param bits which of them are dirty
        void accept(HvaRange host, int word, long bits);
    }

    /// Starts or stops the log. The mode that it has already has no further effect.
    ///
    /// Rings exist before the first virtual processor, as in Linux, that is before the machine's
    /// first program; from then on the machine has no bitmaps.
    ///
    /// @throws MdevException EBUSY if the log is on in another mode, or it is too late for rings,
    ///   or the machine has rings already; EINVAL or E2BIG for an impossible size of rings; ENOMEM
    ///   if there is no memory for the bitmaps. The log is then as before
    public void set(DirtyLogMode wanted) {
        lock.lock();
        try {
            requireNoCopyLocked();
            if (wanted.equals(mode)) {
                return;
            }
            if (wanted.equals(OFF)) {
                stopLocked();
            } else {
                startLocked(wanted);
            }
        } finally {
            lock.unlock();
        }
    }

    /// Starts the log for a copy of the machine's RAM.
    ///
    /// @throws MdevException EBUSY if the log is on; otherwise as [#set]
    Copying beginCopy() {
        lock.lock();
        try {
            if (copying || !mode.equals(OFF)) {
                throw busy(
                        copying
                                ? "the machine is being saved"
                                : "the dirty log is on, and a save needs it: turn it off first");
            }
            startLocked(DirtyTracking.plainMode(engine.dirtyModes()));
            copying = true;
            return new Copying();
        } finally {
            lock.unlock();
        }
    }

    /// The log, for the time of a copy of RAM.
    final class Copying implements AutoCloseable {
        /// Takes the dirty pages of RAM; copy them only afterwards.
        ///
        /// @param sink as in [Sink]
        /// @return the number of pages
        long takeRam(DirtyWords sink) {
            long[] count = new long[1];
            Map<HvaRange, DirtyPages.Of> known = memoryNow();
            take((host, word, bits) -> {
                if (known.get(host) instanceof DirtyPages.Of.Ram) {
                    count[0] += Long.bitCount(bits);
                    sink.accept(word, bits);
                }
            });
            taken.addAndGet(count[0]);
            return count[0];
        }

        private Map<HvaRange, DirtyPages.Of> memoryNow() {
            lock.lock();
            try {
                return Map.copyOf(memory);
            } finally {
                lock.unlock();
            }
        }

        /// Stops the log.
        @Override
        public void close() {
            lock.lock();
            try {
                copying = false;
                stopLocked();
            } finally {
                lock.unlock();
            }
        }
    }

    @GuardedBy("lock")
    private void stopLocked() {
        layout.setLogging(false);
        mode = OFF;
        Set.copyOf(blocks.keySet()).forEach(this::removeBlockLocked);
        // A later log does not begin with what the rings still have of this one.
        engine.ringCollector().collect();
    }

    @GuardedBy("lock")
    private void startLocked(DirtyLogMode wanted) {
        requireStartLocked(wanted);
        boolean done = false;
        try {
            memory.keySet().forEach(host -> blocks.put(host, view.addBlock(host)));
            DirtyTracking.enable(engine, wanted);
            layout.setLogging(true);
            mode = wanted;
            done = true;
        } finally {
            if (!done) {
                Set.copyOf(blocks.keySet()).forEach(this::removeBlockLocked);
            }
        }
    }

    @GuardedBy("lock")
    private void requireStartLocked(DirtyLogMode wanted) {
        if (!mode.equals(OFF)) {
            throw busy("the dirty log is on, %s: turn it off first".formatted(mode));
        }
        DirtyTracking.requirePossible(engine.dirtyModes(), wanted);
    }

    static MdevException busy(String reason) {
        return new MdevException(Errno.EBUSY, reason);
    }
}
