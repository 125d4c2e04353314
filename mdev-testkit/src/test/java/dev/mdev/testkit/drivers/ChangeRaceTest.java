package dev.mdev.testkit.drivers;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Aperture;
import dev.mdev.api.LinearMemory.Layouts;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;
import dev.mdev.testkit.AccessResult;
import dev.mdev.testkit.InMemoryHost;
import dev.mdev.testkit.InMemoryMdev;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.io.DataInput;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;

/// Two processors of the test kit fault while the host changes what grants of their device mean.
/// Afterwards no page shows what it was before.
///
/// Each change lets page 0 be the next of [#PLACES] pages, and writes its number there. A grant
/// that survived shows an older number, or none.
///
/// The device has steps of its own, for whose end a change waits. Each takes until a fault is
/// answered: just when a host that removes mappings too early no longer looks.
@Timeout(value = 600, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class ChangeRaceTest {
    private static final int CHANGES = Integer.getInteger("mdev.resets", 100);
    private static final int PLACES = 4;

    /// Looks for an answer, in one step.
    private static final int LOOKS = 1_000;

    private final InMemoryHost host = new InMemoryHost(Variant.of(Changing::new).get(), Map.of());
    private final InMemoryMdev mdev = host.parent().create("variant-8");
    private final Changing device = (Changing) mdev.device();

    @AfterEach
    void close() {
        host.close();
    }

    private static final class Changing extends Variant.VariantDevice {
        private final AtomicLong answers = new AtomicLong();
        private final AtomicLong number = new AtomicLong();

        Changing(Aperture aperture, MdevContext context) {
            super(aperture, context);
        }

        @Override
        public MapDecision validateMapRequest(MapRequest request) {
            MapDecision decision = MapDecision.grantPage(request, place(), Prot.READ_WRITE);
            answers.incrementAndGet();
            return decision;
        }

        private void stepUntil(AtomicBoolean done) {
            while (!done.get()) {
                context.runStep(() -> {
                    long before = answers.get();
                    for (int i = 0; i < LOOKS && answers.get() == before; i++) {
                        Thread.onSpinWait();
                    }
                });
            }
        }

        private long place() {
            return pfnOf(number.get() % PLACES);
        }

        private void change() {
            MemorySegment bytes = MemorySegment.ofArray(new byte[Long.BYTES]);
            bytes.set(Layouts.LONG, 0, number.incrementAndGet());
            aperture.write(Page.bytesOf(place() - aperture.pfns().firstPfn()), bytes);
        }

        @Override
        public void reset() {
            super.reset();
            change();
        }

        @Override
        public void restore(int version, DataInput in) throws IOException {
            super.restore(version, in);
            change();
        }
    }

    @Test
    void noGrantSurvivesAReset() {
        race(mdev::reset);
    }

    @Test
    void noGrantSurvivesAHandOver() {
        race(mdev::reassign);
    }

    @Test
    void noGrantSurvivesARestore() {
        InMemoryMdev.Saved saved = mdev.save().orElseThrow();
        mdev.resume();
        race(() -> {
            assertThat(mdev.restore(saved)).isTrue();
            mdev.resume();
        });
    }

    private void race(Runnable change) {
        mdev.reset();
        List<String> wrong = new ArrayList<>();
        AtomicBoolean done = new AtomicBoolean();
        try (ExecutorService threads = Executors.newCachedThreadPool()) {
            List<CompletableFuture<Void>> beside =
                    Stream.<Runnable>of(
                                    () -> readUntil(done),
                                    () -> readUntil(done),
                                    () -> device.stepUntil(done))
                            .map(body -> CompletableFuture.runAsync(body, threads))
                            .toList();
            try {
                for (int i = 1; i <= CHANGES; i++) {
                    change.run();
                    // A grant that survived is mapped now, and this load shows it.
                    long seen = load();
                    long expected = device.number.get();
                    if (seen != expected) {
                        wrong.add("%d instead of %d".formatted(seen, expected));
                    }
                }
            } finally {
                done.set(true);
            }
            beside.forEach(CompletableFuture::join);
        }
        assertThat(wrong).as("wrong values after %d changes", CHANGES).isEmpty();
    }

    private long load() {
        return mdev.guest().load(Changing.MEMORY, 0, Long.BYTES);
    }

    private void readUntil(AtomicBoolean done) {
        while (!done.get()) {
            assertThat(mdev.guest().tryLoad(Changing.MEMORY, 0, Long.BYTES))
                    .isInstanceOf(AccessResult.Done.class);
        }
    }
}
