package dev.mdev.testkit;

import dev.mdev.api.MdevType;
import dev.mdev.api.PoolShare;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.page.PfnRange;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.SplittableRandom;

/// Hands out a pool's pages. A share that need not be contiguous is scattered on purpose: a driver
/// must not rely on the places of its pages. The pages freed last are handed out last, so that a
/// driver's stores to pages of a removed device hit free pages, where they are detected.
///
/// Not thread-safe: its host locks.
final class PoolAllocator {
    private final ResourcePool pool;
    private final SplittableRandom random;

    /// By page of the pool.
    private final BitSet used;

    /// By page of the pool: the number of its last release; 0 if there was none.
    private final long[] givenBackAt;

    private final boolean scatters;
    private long timesGivenBack;

    PoolAllocator(ResourcePool pool, SplittableRandom random, boolean scatters) {
        this.scatters = scatters;
        this.pool = pool;
        this.random = random;
        this.givenBackAt = new long[Math.toIntExact(pool.pfns().npages())];
        this.used = new BitSet(givenBackAt.length);
    }

    ResourcePool pool() {
        return pool;
    }

    /// Reserves pages, or nothing if they are not free.
    Optional<PoolShare> take(MdevType.Demand demand) {
        if (!scatters && !demand.contiguous()) {
            Optional<PoolShare> whole = take(demand, demand.minPages());
            if (whole.isPresent()) {
                return whole;
            }
        }
        return take(demand, demand.contiguous() ? demand.minPages() : demand.alignPages());
    }

    private Optional<PoolShare> take(MdevType.Demand demand, long chunkPages) {
        int chunk = Math.toIntExact(chunkPages);
        int wanted = Math.toIntExact(demand.minPages() / chunk);
        List<Integer> starts = freeChunks(Math.toIntExact(demand.alignPages()), chunk);
        if (starts.size() < wanted) {
            return Optional.empty();
        }
        Collections.shuffle(starts, Random.from(random));
        starts.sort(Comparator.comparingLong(start -> lastGivenBack(start, chunk)));
        List<Integer> taken = starts.subList(0, wanted).stream().sorted().toList();
        taken.forEach(start -> used.set(start, start + chunk));
        return Optional.of(new PoolShare(pool.name(), merge(taken, chunk)));
    }

    /// Reserves exactly the pages of an existing device.
    ///
    /// @return false if they are not all in the pool and free
    boolean claim(PoolShare share) {
        for (PfnRange extent : share.extents()) {
            if (!pool.pfns().contains(extent)) {
                return false;
            }
            int first = indexOf(extent.firstPfn());
            int next = used.nextSetBit(first);
            if (next >= 0 && next < first + extent.npages()) {
                return false;
            }
        }
        for (PfnRange extent : share.extents()) {
            int first = indexOf(extent.firstPfn());
            used.set(first, first + Math.toIntExact(extent.npages()));
        }
        return true;
    }

    /// Frees pages that a device had.
    void giveBack(PoolShare share) {
        timesGivenBack++;
        for (PfnRange extent : share.extents()) {
            int first = indexOf(extent.firstPfn());
            Arrays.fill(givenBackAt, first, first + (int) extent.npages(), timesGivenBack);
        }
        undoTake(share);
    }

    /// Frees pages that no device ever had.
    void undoTake(PoolShare share) {
        for (PfnRange extent : share.extents()) {
            int first = indexOf(extent.firstPfn());
            used.clear(first, first + Math.toIntExact(extent.npages()));
        }
    }

    int freePages() {
        return Math.toIntExact(pool.pfns().npages()) - used.cardinality();
    }

    boolean isFree(long pfn) {
        return !used.get(indexOf(pfn));
    }

    private int indexOf(long pfn) {
        return Math.toIntExact(pfn - pool.pfns().firstPfn());
    }

    private long lastGivenBack(int start, int chunk) {
        return Arrays.stream(givenBackAt, start, start + chunk).max().orElse(0);
    }

    /// Starts of free, aligned runs of `chunk` pages that do not overlap each other.
    private List<Integer> freeChunks(int align, int chunk) {
        List<Integer> starts = new ArrayList<>();
        int npages = Math.toIntExact(pool.pfns().npages());
        int start = 0;
        while (start + chunk <= npages) {
            int next = used.nextSetBit(start);
            if (next < 0 || next >= start + chunk) {
                starts.add(start);
                start += Math.max(chunk, align);
            } else {
                start = (next / align + 1) * align;
            }
        }
        return starts;
    }

    private List<PfnRange> merge(List<Integer> starts, int chunk) {
        List<PfnRange> extents = new ArrayList<>();
        for (int start : starts) {
            long firstPfn = pool.pfns().firstPfn() + start;
            if (!extents.isEmpty() && extents.getLast().endPfn() == firstPfn) {
                PfnRange last = extents.removeLast();
                extents.add(new PfnRange(last.firstPfn(), last.npages() + chunk));
            } else {
                extents.add(new PfnRange(firstPfn, chunk));
            }
        }
        return extents;
    }
}
