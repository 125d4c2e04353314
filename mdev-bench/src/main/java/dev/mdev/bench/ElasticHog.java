package dev.mdev.bench;

import dev.mdev.core.elastic.ElasticOptions;

import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;

/// A guest that stays within its minimum, beside a hog that touches everything: compared with the
/// same hog that does nothing, and with one that is as busy within its minimum. Each has a machine
/// of its own.
final class ElasticHog {
    private static final int PAGES = 1024;

    private ElasticHog() {}

    static void measure() throws Exception {
        BenchDriver driver = ElasticBench.elastic(3L * PAGES, PAGES, 4L * PAGES, 1, 1);
        try (BenchHost host = ElasticBench.host(driver, ElasticOptions.DEFAULT)) {
            BenchHost.Lane neighbour = host.addMachine(1).getFirst();
            BenchHost.Lane hog = host.addMachine(1).getFirst();
            ElasticBench.Pairs faultsToIdle = new ElasticBench.Pairs();
            ElasticBench.Pairs faultsToBusy = new ElasticBench.Pairs();
            ElasticBench.Pairs accessesToIdle = new ElasticBench.Pairs();
            ElasticBench.Pairs accessesToBusy = new ElasticBench.Pairs();
            for (int turn = -ElasticBench.TURNS; turn < ElasticBench.TURNS; turn++) {
                ElasticBench.Cost idle = beside(neighbour, hog, 0);
                ElasticBench.Cost busy = beside(neighbour, hog, PAGES);
                long before = hog.mdev().elastic().getFirst().usage().evictedPages();
                ElasticBench.Cost greedy = beside(neighbour, hog, 4 * PAGES);
                long after = hog.mdev().elastic().getFirst().usage().evictedPages();
                if (after == before) {
                    throw new IllegalStateException("the hog lost no page");
                }
                if (turn >= 0) {
                    faultsToIdle.add(greedy.faultNanos(), idle.faultNanos());
                    faultsToBusy.add(greedy.faultNanos(), busy.faultNanos());
                    accessesToIdle.add(greedy.accessNanos(), idle.accessNanos());
                    accessesToBusy.add(greedy.accessNanos(), busy.accessNanos());
                }
            }
            ElasticBench.print("hog against none: fault, ns", faultsToIdle);
            ElasticBench.print("hog against none: access, ns", accessesToIdle);
            ElasticBench.print("hog against one within its minimum: fault, ns", faultsToBusy);
            ElasticBench.print("hog against one within its minimum: access, ns", accessesToBusy);
        }
    }

    /// What the neighbour's accesses cost while the hog uses so many pages.
    private static ElasticBench.Cost beside(
            BenchHost.Lane neighbour, BenchHost.Lane hog, int hogPages) throws Exception {
        AtomicBoolean done = new AtomicBoolean();
        Future<Boolean> hogging =
                hog.submit(() -> {
                    while (!done.get() && hogPages > 0) {
                        hog.revokeAll();
                        ElasticBench.touch(hog, 0, hogPages, 1);
                    }
                    return true;
                });
        ElasticBench.Cost cost = ElasticBench.storeToAll(neighbour, PAGES, 1);
        done.set(true);
        hogging.get();
        return cost;
    }
}
