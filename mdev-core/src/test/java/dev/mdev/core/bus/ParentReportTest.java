package dev.mdev.core.bus;

import static dev.mdev.core.bus.BusWorld.assertFails;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatNullPointerException;

import dev.mdev.api.Errno;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.api.ReportLevel;
import dev.mdev.api.Reporter;
import dev.mdev.core.driver.DriverText;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;

/// What a driver tells of its parents after it has looked for them.
class ParentReportTest {
    private final List<MdevEvent.Fact> facts = new CopyOnWriteArrayList<>();
    private final HostMemory memory = new HostMemory(new OffHeapBackend());
    private final MdevBus bus =
            new MdevBus(
                    memory,
                    Deadlines.HANG,
                    new MdevObserver() {
                        @Override
                        public void event(MdevEvent event) {
                            facts.add(event.fact());
                        }
                    });

    @AfterEach
    void close() {
        bus.close();
        memory.close();
    }

    private void probe(Consumer<ParentHost> work) {
        bus.addDriver(
                new ParentDriver() {
                    @Override
                    public String name() {
                        return "telling";
                    }

                    @Override
                    public List<ParentDevice> probe(ParentHost host) {
                        work.accept(host);
                        return List.of();
                    }
                },
                Map.of());
    }

    @Test
    void aReportIsAnEventOfTheParentAndOneLineOfBoundedLength() {
        List<Reporter> reporters = new CopyOnWriteArrayList<>();
        probe(host -> {
            reporters.add(host.reporterOf("card0"));
            reporters.add(host.reporterOf("0000:65:00.0"));
        });

        reporters.getFirst().report(ReportLevel.WARNING, "a\nb");
        reporters.getLast().report(ReportLevel.ERROR, "x".repeat(5000));

        assertThat(facts)
                .satisfiesExactly(
                        fact ->
                                assertThat(fact)
                                        .isEqualTo(
                                                new MdevEvent.ParentReported(
                                                        "card0", ReportLevel.WARNING, "a b")),
                        fact ->
                                assertThat(fact)
                                        .isInstanceOfSatisfying(
                                                MdevEvent.ParentReported.class,
                                                it -> {
                                                    assertThat(it.parent())
                                                            .isEqualTo("0000:65:00.0");
                                                    assertThat(it.text())
                                                            .hasSizeLessThan(
                                                                    DriverText.MAX_CHARS + 100);
                                                }));
    }

    @Test
    void aDriverThatTellsAllTheTimeFillsNoLog() {
        List<Reporter> reporters = new CopyOnWriteArrayList<>();
        probe(host -> reporters.add(host.reporterOf("card0")));
        long start = System.nanoTime();

        for (int i = 0; i < 1000; i++) {
            reporters.getFirst().report(ReportLevel.WARNING, "again");
        }

        long seconds = (System.nanoTime() - start) / 1_000_000_000;
        assertThat(facts).hasSizeBetween(1, (int) seconds + 2);
    }

    /// Each reporter of a parent is the same one.
    @Test
    void aDriverThatAsksForAReporterEachTimeFillsNoLogEither() {
        long start = System.nanoTime();

        probe(host -> {
            for (int i = 0; i < 1000; i++) {
                host.reporterOf("card0").report(ReportLevel.WARNING, "again");
            }
        });

        long seconds = (System.nanoTime() - start) / 1_000_000_000;
        assertThat(facts).hasSizeBetween(1, (int) seconds + 2);
    }

    @Test
    void aDriverThatReportsOnMoreParentsThanThereCanBeIsStopped() {
        probe(host ->
                assertFails(
                        () -> {
                            for (int i = 0; i < 100_000; i++) {
                                var _ = host.reporterOf("card" + i);
                            }
                        },
                        Errno.EUSERS,
                        "telling"));
    }

    @Test
    @SuppressWarnings("NullAway") // a driver may be written in another language
    void aReportWithoutALevelIsNoEvent() {
        List<Reporter> reporters = new CopyOnWriteArrayList<>();
        probe(host -> reporters.add(host.reporterOf("card0")));

        assertThatNullPointerException()
                .isThrownBy(() -> reporters.getFirst().report(null, "what is it?"));

        assertThat(facts).isEmpty();
    }

    @Test
    void whatIsNoNameOfAParentIsRefused() {
        probe(host -> assertFails(() -> host.reporterOf("../x"), Errno.EINVAL, "../x"));
    }
}
