package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;

/// Many watchers of a service that is killed and starts again.
@Tag("slow")
class WatchersTest {
    private static final int WATCHERS = 1000;
    private static final String EVENTS = "/api/v1/events";

    @TempDir private Path folder = Path.of("");

    /// A watcher that resumes.
    private static final class Watcher {
        private final List<String> seen = new ArrayList<>();
        private String last = "";

        /// Reads until an event about a machine of this name, or until the connection ends.
        void readUntil(int port, String machine) {
            String[] headers =
                    last.isEmpty() ? new String[0] : new String[] {"Last-Event-ID", last};
            try (Watch watch = Watch.open(port, EVENTS + "?after=0", headers)) {
                assertThat(watch.status()).isEqualTo(200);
                while (true) {
                    Watch.Message message = watch.next();
                    assertThat(message.name()).isNotEqualTo("gap");
                    last = message.id();
                    if (message.name().isEmpty()) {
                        seen.add(message.id());
                        if (message.data().contains("\"machines/%s\"".formatted(machine))) {
                            return;
                        }
                    }
                }
            } catch (UncheckedIOException e) {
                // The service died.
                return;
            }
        }
    }

    @Test
    void aThousandWatchersSeeEachEventOnceAcrossAKill() throws Exception {
        List<Watcher> watchers = IntStream.range(0, WATCHERS).mapToObj(_ -> new Watcher()).toList();
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<?>> first = new ArrayList<>();
            try (ServiceProcess service = ServiceProcess.start(folder)) {
                for (Watcher watcher : watchers) {
                    first.add(threads.submit(() -> watcher.readUntil(service.port(), "never")));
                }
                for (int i = 0; i < 10; i++) {
                    service.api().createMachine("a" + i);
                }
                service.kill();
            }
            for (Future<?> watcher : first) {
                watcher.get();
            }
            List<Future<?>> second = new ArrayList<>();
            try (ServiceProcess service = ServiceProcess.start(folder)) {
                for (Watcher watcher : watchers) {
                    second.add(threads.submit(() -> watcher.readUntil(service.port(), "end")));
                }
                service.api().createMachine("end");
                for (Future<?> watcher : second) {
                    watcher.get(Deadlines.HANG_SECONDS, java.util.concurrent.TimeUnit.SECONDS);
                }
                long last = service.api().get(EVENTS).numberAt("/lastId");
                assertThat(watchers)
                        .allSatisfy(watcher -> {
                            assertThat(watcher.seen).hasSize((int) last).doesNotHaveDuplicates();
                        });
                service.stop();
            }
        }
        assertThat(Files.readString(folder.resolve("service.log")))
                .doesNotContain("bug in this service");
    }

    /// A service with watchers stops as fast as one without.
    @Test
    void aStopEndsTheStreams() throws Exception {
        try (ServiceProcess service =
                        ServiceProcess.start(
                                folder, "--spring.lifecycle.timeout-per-shutdown-phase=10m");
                Watch watch = Watch.open(service.port(), EVENTS)) {
            watch.next();
            service.stop();
        }
    }
}
