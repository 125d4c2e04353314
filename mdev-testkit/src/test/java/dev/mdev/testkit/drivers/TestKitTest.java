package dev.mdev.testkit.drivers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Aperture;
import dev.mdev.api.Errno;
import dev.mdev.api.GuestMemory;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.testkit.AccessTrace;
import dev.mdev.testkit.ContractViolation;
import dev.mdev.testkit.FaultInjector;
import dev.mdev.testkit.HostileGuest;
import dev.mdev.testkit.InMemoryHost;
import dev.mdev.testkit.InMemoryMdev;
import dev.mdev.testkit.SimulatedRam;

import org.junit.jupiter.api.Test;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;

/// The parts of the test kit that the conformance suite relies on.
final class TestKitTest {
    @Test
    void aTraceSurvivesItsTextForm() {
        try (InMemoryHost host = host()) {
            InMemoryMdev mdev = host.parent().create("variant-8");
            AccessTrace trace = mdev.guest().record();
            new HostileGuest(mdev, new SplittableRandom(host.seed())).run(500);
            AccessTrace read = AccessTrace.parse("# a comment\n\n" + trace.toText());
            assertThat(read.steps()).hasSize(500).isEqualTo(trace.steps());
        }
    }

    @Test
    void aReplayNamesTheFirstDifference() {
        AccessTrace trace = AccessTrace.parse("store 2 0x0 8 0x1234 = done\nload 2 0x1 1 = 0x13\n");
        try (InMemoryHost host = host()) {
            InMemoryMdev mdev = host.parent().create("variant-8");
            assertThat(trace.replay(mdev.guest()))
                    .containsExactly(
                            "recorded: load  2 0x1 1 = 0x13", "replayed: load  2 0x1 1 = 0x12");
        }
    }

    @Test
    void theSameSeedGivesTheSameFailures() {
        assertThat(failurePattern(7)).isEqualTo(failurePattern(7)).contains("x").contains(".");
        assertThat(failurePattern(7)).isNotEqualTo(failurePattern(8));
    }

    private static String failurePattern(long seed) {
        InMemoryHost.Options options = InMemoryHost.Options.standard().withSeed(seed);
        StringBuilder pattern = new StringBuilder();
        try (InMemoryHost host = new InMemoryHost(new Variant(), options)) {
            SimulatedRam ram = host.parent().create("variant-8").guestMemory();
            host.faults().arm(FaultInjector.Site.DMA_READ, 300);
            for (int i = 0; i < 50; i++) {
                try {
                    ram.read(0, MemorySegment.ofArray(new byte[1]));
                    pattern.append('.');
                } catch (MdevException e) {
                    pattern.append('x');
                }
            }
        }
        return pattern.toString();
    }

    @Test
    void aDriverThatIsToBeAskedAgainRunsItsStepsMeanwhile() {
        AtomicInteger asked = new AtomicInteger();
        CountDownLatch stepped = new CountDownLatch(1);
        Supplier<Variant> driver =
                Variant.of((aperture, context) ->
                        new Variant.VariantDevice(aperture, context) {
                            @Override
                            public MapDecision validateMapRequest(MapRequest request) {
                                if (asked.getAndIncrement() > 0 && stepped.getCount() == 0) {
                                    return super.validateMapRequest(request);
                                }
                                Thread.startVirtualThread(
                                        () -> context.runStep(stepped::countDown));
                                return new MapDecision.Again("the step comes first");
                            }
                        });
        try (InMemoryHost host = new InMemoryHost(driver.get(), Map.of())) {
            InMemoryMdev mdev = host.parent().create("variant-8");
            mdev.guest().store(0, 0, 8, 7);
            assertThat(mdev.guest().load(0, 0, 8)).isEqualTo(7);
            assertThat(asked.get()).isGreaterThan(1);
            assertThat(mdev.guest().faults()).isOne();
        }
    }

    @Test
    void dmaStopsWhereMemoryEnds() {
        try (InMemoryHost host = host()) {
            SimulatedRam ram = host.parent().create("variant-8").guestMemory();
            ram.remove(2, 1);
            byte[] bytes = new byte[2 * Page.SIZE];
            Arrays.fill(bytes, (byte) 7);
            assertThatThrownBy(() -> ram.write(Page.SIZE, MemorySegment.ofArray(bytes)))
                    .isInstanceOf(MdevException.class)
                    .hasMessage("iova=0x2000")
                    .extracting("errno")
                    .isEqualTo(Errno.EFAULT);
            assertThat(ram.dirtyPages().stream().boxed()).containsExactly(1);
            byte[] seen = new byte[Page.SIZE];
            ram.peek(Page.SIZE, MemorySegment.ofArray(seen));
            assertThat(seen).containsOnly(7);
            for (long iova : new long[] {-1, Long.MIN_VALUE, ram.sizeBytes() - 1}) {
                assertThatThrownBy(() -> ram.read(iova, MemorySegment.ofArray(new byte[8])))
                        .isInstanceOf(MdevException.class);
            }
        }
    }

    @Test
    void aPinEndsWhenItsMemoryIsTakenAway() {
        try (InMemoryHost host = host()) {
            InMemoryMdev mdev = host.parent().create("variant-8");
            GuestMemory.Pin pin = mdev.guestMemory().pin(0, 2, Access.WRITE);
            assertThat(mdev.unmapDma(Page.SIZE, Page.SIZE)).isEqualTo(1);
            assertThatThrownBy(() -> pin.read(0, MemorySegment.ofArray(new byte[1])))
                    .isInstanceOf(MdevException.class);
            pin.close();
        }
    }

    @Test
    void theDriverIsToldOfStoresToWatchedPagesOnly() {
        List<String> told = new ArrayList<>();
        Variant watcher =
                new Variant() {
                    @Override
                    VariantDevice create(Aperture aperture, MdevContext context) {
                        return new VariantDevice(aperture, context) {
                            @Override
                            public void guestWrote(long iova, int widthBytes, long value) {
                                told.add("%x+%d=%x".formatted(iova, widthBytes, value));
                            }
                        };
                    }
                };
        try (InMemoryHost host = new InMemoryHost(watcher, Map.of())) {
            SimulatedRam ram = host.parent().create("variant-8").guestMemory();
            GuestMemory.WriteWatch watch = ram.watchWrites(Page.SIZE, 1);
            assertThat(ram.watchedPages()).isEqualTo(1);
            ram.poke(Page.SIZE - 4, MemorySegment.ofArray(new byte[] {1, 2, 3, 4, 5, 6, 7, 8}));
            ram.write(Page.SIZE, MemorySegment.ofArray(new byte[8]));
            ram.poke(3 * Page.SIZE, MemorySegment.ofArray(new byte[8]));
            assertThat(told).containsExactly("1000+4=8070605");
            assertThatThrownBy(() -> ram.watchWrites(0, 4096))
                    .isInstanceOf(MdevException.class)
                    .extracting("errno")
                    .isEqualTo(Errno.ENOMEM);
            watch.close();
            ram.poke(Page.SIZE, MemorySegment.ofArray(new byte[8]));
            assertThat(told).hasSize(1);
            assertThat(ram.watchedPages()).isZero();
        }
    }

    @Test
    void anInterruptThatWasNotAnnouncedIsAViolation() {
        InMemoryHost host = host();
        InMemoryMdev mdev = host.parent().create("variant-8");
        assertThatThrownBy(() -> mdev.interrupts().trigger(0))
                .isInstanceOf(ContractViolation.class);
        assertThatThrownBy(host::close).hasMessageContaining("vector=0");
    }

    @Test
    void theHostMakesNoMoreDevicesThanFit() {
        try (InMemoryHost host = host()) {
            for (int i = 0; i < Variant.DEVICES; i++) {
                host.parent().create("variant-8");
            }
            assertThatThrownBy(() -> host.parent().create("variant-8"))
                    .extracting("errno")
                    .isEqualTo(Errno.EUSERS);
        }
    }

    private static InMemoryHost host() {
        return new InMemoryHost(new Variant(), Map.of());
    }
}
