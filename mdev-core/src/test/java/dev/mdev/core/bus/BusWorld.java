package dev.mdev.core.bus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.capacity.PoolExtent;
import dev.mdev.core.device.Parent;
import dev.mdev.core.device.ScrubReport;
import dev.mdev.core.driver.CallReport;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.store.CrashPlan;
import dev.mdev.core.store.CrashingFiles;
import dev.mdev.gate.Deadlines;

import org.assertj.core.api.ThrowableAssert.ThrowingCallable;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.BooleanSupplier;

/// A card, a disk, and one process after the other that runs a bus on them.
public final class BusWorld implements AutoCloseable {
    static final Duration DEADLINE = Deadlines.HANG;

    final CrashingFiles.Disk disk;
    final Card[] cards;
    final Duration deadline;
    final List<MdevEvent> events = new CopyOnWriteArrayList<>();
    public final List<CallReport> slowCalls = new CopyOnWriteArrayList<>();
    final List<ScrubReport> scrubs = new CopyOnWriteArrayList<>();
    CrashPlan plan = new CrashPlan();
    public CardDriver driver;
    public MdevBus bus;
    private HostMemory memory;

    /// Asserts that a call throws an [MdevException] with this code and these words.
    static void assertFails(ThrowingCallable call, Errno errno, String... words) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        MdevException.class,
                        e -> {
                            assertThat(e.errno()).as("%s", e.getMessage()).isEqualTo(errno);
                            assertThat(List.of(words)).allMatch(e.getMessage()::contains);
                        });
    }

    BusWorld(SplittableRandom random, Duration deadline, Card... cards) {
        this.disk = new CrashingFiles.Disk(random);
        this.deadline = deadline;
        this.cards = cards;
        this.driver = new CardDriver(plan, cards);
        this.memory = new HostMemory(new OffHeapBackend());
        this.bus = open();
    }

    BusWorld(Card... cards) {
        this(new SplittableRandom(1), DEADLINE, cards);
    }

    private MdevBus open() {
        MdevObserver observer =
                new MdevObserver() {
                    @Override
                    public void event(MdevEvent event) {
                        synchronized (events) {
                            events.add(event);
                            events.notifyAll();
                        }
                    }

                    @Override
                    public void slowCallback(CallReport report) {
                        slowCalls.add(report);
                    }

                    @Override
                    public void scrubbed(ScrubReport report) {
                        scrubs.add(report);
                    }
                };
        return new MdevBus(
                memory, new CrashingFiles(disk, plan), BusOptions.of(deadline, observer));
    }

    /// Puts the cards on the bus.
    BusWorld plug() {
        bus.addDriver(driver, Map.of());
        return this;
    }

    /// The process is gone, however it went; a new one begins, without its cards yet.
    BusWorld restart() {
        return restart(new CrashPlan());
    }

    /// The same, with a process that may crash.
    BusWorld restart(CrashPlan next) {
        plan = next;
        driver = new CardDriver(plan, cards);
        leave();
        memory = new HostMemory(new OffHeapBackend());
        events.clear();
        bus = open();
        return this;
    }

    /// Calls a verb that succeeds at last: on a busy machine, it may take longer than a short
    /// deadline, and then goes on by itself.
    ///
    /// @param done what an event tells of once it is
    void atLast(Runnable verb, BooleanSupplier done) {
        try {
            verb.run();
        } catch (MdevException e) {
            if (e.errno() != Errno.ETIMEDOUT || deadline.equals(DEADLINE)) {
                throw e;
            }
            awaitUnlessInterrupted(done);
        }
    }

    private void awaitUnlessInterrupted(BooleanSupplier condition) {
        try {
            await(condition);
        } catch (InterruptedException e) {
            throw new IllegalStateException("interrupted", e);
        }
    }

    /// Removes a device that nobody has, and whose driver lets go.
    void removeAtLast(UUID uuid) {
        atLast(() -> bus.remove(uuid), () -> bus.status(uuid).isEmpty());
    }

    /// Closes the bus, whose drivers let go.
    void closeAtLast() {
        atLast(bus::close, () -> bus.parents().isEmpty());
        // Closes what the first call has left.
        bus.close();
    }

    /// Ends what would be left of a process that is gone: its watchdog and its memory.
    void leave() {
        bus.context().watch().close();
        memory.close();
    }

    HostMemory memory() {
        return memory;
    }

    /// Waits until something is so that an event tells of once it is.
    public void await(BooleanSupplier condition) throws InterruptedException {
        synchronized (events) {
            while (!condition.getAsBoolean()) {
                events.wait();
            }
        }
    }

    public <F extends MdevEvent.Fact> List<F> facts(Class<F> kind) {
        return events.stream()
                .map(MdevEvent::fact)
                .filter(kind::isInstance)
                .map(kind::cast)
                .toList();
    }

    /// Holds whenever no verb is running: every page has exactly one owner, and free pages are
    /// zero.
    void check() {
        assertThat(driver.leaks).isEmpty();
        for (Parent parent : bus.parents()) {
            Card card = cardOf(parent);
            long next = 0;
            for (PoolExtent extent : parent.extents(Card.POOL)) {
                assertThat(extent.firstPage()).as("%s", extent).isEqualTo(next);
                next += extent.npages();
                if (extent.use() == PoolExtent.Use.FREE) {
                    assertThat(card.vram.isZero(extent.firstPage(), extent.npages()))
                            .as("free pages are zero: %s", extent)
                            .isTrue();
                }
            }
            assertThat(next).isEqualTo(card.vram.npages());
        }
    }

    private Card cardOf(Parent parent) {
        for (Card card : cards) {
            if (card.name.equals(parent.name())) {
                return card;
            }
        }
        throw new AssertionError(parent.name());
    }

    static long bytes(long npages) {
        return Page.bytesOf(npages);
    }

    @Override
    public void close() {
        closeAtLast();
        memory.close();
    }
}
