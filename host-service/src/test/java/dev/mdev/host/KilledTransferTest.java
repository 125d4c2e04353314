package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalInt;
import java.util.UUID;
import java.util.function.BooleanSupplier;

/// A machine on its way from one service to another, of which one dies.
@Tag("slow")
class KilledTransferTest {
    private static final UUID MDEV = UUID.fromString("d0000000-0000-4000-8000-000000000001");
    private static final int PAGES = 1500;
    private static final double[] WHEN = {0.0, 0.4, 0.97};

    @TempDir Path folder;

    private final HttpClient http = HttpClient.newHttpClient();
    private ServiceProcess source;
    private ServiceProcess target;

    @BeforeEach
    void start() throws Exception {
        source = start("source");
        target = start("target");
        makeMachine();
    }

    @AfterEach
    void stop() throws Exception {
        source.close();
        target.close();
        http.close();
    }

    private ServiceProcess start(String name) throws IOException, InterruptedException {
        return ServiceProcess.start(
                Files.createDirectories(folder.resolve(name)), "--mdev.engine=software");
    }

    private void makeMachine() {
        Api api = source.api();
        api.put("/api/v1/mdevs/" + MDEV, "{\"parent\":\"gpu0\",\"type\":\"gpu-sample-16m\"}")
                .requireStatus(201);
        api.post("/api/v1/machines", "{\"name\":\"vm1\",\"ramMib\":16}").requireStatus(201);
        api.put("/api/v1/machines/vm1/devices/" + MDEV, "").requireStatus(201);
        run(api, "write");
    }

    /// Writes to RAM and to the device's memory, or checks what was written.
    private static void run(Api api, String op) {
        Answer result =
                api.run(
                        "vm1",
                        """
                        {"steps": [
                          {"op": "%1$s", "at": {"gpa": 0}, "count": %2$d, "stride": 4096,
                           "value": 1, "step": 3},
                          {"op": "%1$s", "at": {"mdev": "%3$s", "bar": 0}, "count": %2$d,
                           "stride": 4096, "value": 7, "step": 5}],
                         "deadlineMillis": 60000}
                        """
                                .formatted(op, PAGES, MDEV));
        assertThat(result.at("/end")).isEqualTo("completed");
        if (op.equals("check")) {
            assertThat(result.numberAt("/steps/0/mismatches")).isZero();
            assertThat(result.numberAt("/steps/1/mismatches")).isZero();
        }
    }

    /// The machine is whole: it runs, and can be saved.
    private static void assertWhole(Api api) {
        // The source learns of the end of the connection a moment later, and ends the save then.
        await(() -> api.get("/api/v1/machines/vm1/dirty-log").at("/mode").equals("off"));
        run(api, "check");
        assertThat(api.bytes("/api/v1/machines/vm1/state").statusCode()).isEqualTo(200);
    }

    private static void assertNothing(Api api) {
        assertThat(api.namesOf("/api/v1/machines", "/name")).isEmpty();
        assertThat(api.namesOf("/api/v1/mdevs", "/uuid")).isEmpty();
    }

    /// Sends the machine from service to service.
    ///
    /// @param afterBytes when to run `killing`
    /// @return the target's answer, if it came
    private OptionalInt transfer(long afterBytes, Killing killing) throws InterruptedException {
        HttpRequest get = HttpRequest.newBuilder(state(source)).timeout(Deadlines.HANG).build();
        try (InputStream from = http.send(get, HttpResponse.BodyHandlers.ofInputStream()).body()) {
            InputStream watched = new Watched(from, afterBytes, killing);
            HttpRequest put =
                    HttpRequest.newBuilder(state(target))
                            .timeout(Deadlines.HANG)
                            .header("Content-Type", "application/octet-stream")
                            .PUT(HttpRequest.BodyPublishers.ofInputStream(() -> watched))
                            .build();
            return OptionalInt.of(
                    http.send(put, HttpResponse.BodyHandlers.discarding()).statusCode());
        } catch (IOException e) {
            // A service is gone.
            return OptionalInt.empty();
        }
    }

    private static URI state(ServiceProcess service) {
        return URI.create(
                "http://127.0.0.1:%d/api/v1/machines/vm1/state".formatted(service.port()));
    }

    @FunctionalInterface
    private interface Killing {
        void run() throws InterruptedException;
    }

    private static final class Watched extends FilterInputStream {
        private final Killing killing;
        private long left;
        private boolean killed;

        Watched(InputStream in, long afterBytes, Killing killing) {
            super(in);
            this.killing = killing;
            left = afterBytes;
        }

        @Override
        public int read(byte[] bytes, int offset, int length) throws IOException {
            int count = super.read(bytes, offset, length);
            left -= Math.max(count, 0);
            if (left < 0 && !killed) {
                killed = true;
                try {
                    killing.run();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    throw new IOException(e);
                }
            }
            return count;
        }
    }

    private long stateBytes() {
        return source.api().bytes("/api/v1/machines/vm1/state").body().length;
    }

    @Test
    void ifTheTargetDiesTheMachineGoesOnAtTheSource() throws Exception {
        long size = stateBytes();
        assertThat(size).isGreaterThan(2L * PAGES * 4096);
        for (double when : WHEN) {
            transfer((long) (size * when), target::kill);
            assertWhole(source.api());
            target.close();
            target = start("target");
            assertNothing(target.api());
        }
        assertThat(transfer(Long.MAX_VALUE, () -> {})).hasValue(201);
        source.kill();
        assertWhole(target.api());
    }

    /// What the source had sent may be all of it, even if the client has not read that yet.
    @Test
    void ifTheSourceDiesTheTargetHasNothingOrAll() throws Exception {
        long size = stateBytes();
        for (double when : WHEN) {
            if (transfer((long) (size * when), source::kill).orElse(0) == 201) {
                assertWhole(target.api());
                target.api().removeEverything();
            } else {
                awaitNothing(target.api());
            }
            source.close();
            source = start("source");
            makeMachine();
        }
        assertThat(transfer(Long.MAX_VALUE, () -> {})).hasValue(201);
        source.kill();
        assertWhole(target.api());
    }

    /// The target learns of the end of the connection a moment later. The restore has the machine's
    /// name until it has ended what it made.
    private static void awaitNothing(Api api) {
        await(() ->
                api.post("/api/v1/machines", "{\"name\":\"vm1\",\"ramMib\":1}").status() == 201);
        assertThat(api.namesOf("/api/v1/mdevs", "/uuid")).isEmpty();
        api.delete("/api/v1/machines/vm1").requireStatus(204);
        assertNothing(api);
    }

    private static void await(BooleanSupplier condition) {
        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        while (!condition.getAsBoolean()) {
            assertThat(System.nanoTime()).as("time").isLessThan(end);
        }
    }
}
