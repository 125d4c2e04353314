package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

import tools.jackson.databind.JsonNode;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/// A service that is killed while four guests on one card use more pages than it has.
@Timeout(value = 1800, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
@Tag("slow")
class KilledElasticTest {
    private static final int KILLS = Integer.getInteger("mdev.service.kills", 3);
    private static final int CARD_PAGES = 40;
    private static final int PAGE = 4096;

    @TempDir Path folder;

    private final long seed = Long.getLong("mdev.seed", System.nanoTime());
    private final SplittableRandom random = new SplittableRandom(seed);

    private static UUID uuid(int guest) {
        return new UUID(0xe000_0000_0000_4000L, 0x8000_0000_0000_0000L | guest);
    }

    @Test
    void noPageOfATenantShowsInAnotherAndAllHaveTheirMinimumsAfterwards() throws Exception {
        Path card = Files.write(folder.resolve("card"), new byte[CARD_PAGES * PAGE]);
        long taken = 0;
        for (int kill = 0; kill < KILLS; kill++) {
            try (ServiceProcess service = start(card, kill % 2 == 0)) {
                if (kill == 0) {
                    define(service.api());
                }
                requireNothingLeft(service.api(), card);
                taken += useAndKill(service);
            }
        }
        assertThat(taken).as("pages that were taken away, seed=%d", seed).isPositive();
        try (ServiceProcess service = start(card, false)) {
            requireNothingLeft(service.api(), card);
        }
    }

    private ServiceProcess start(Path card, boolean encrypted)
            throws IOException, InterruptedException {
        return ServiceProcess.start(
                folder,
                "--mdev.engine=software",
                "--test.card=" + card,
                "--mdev.elastic.store=file",
                "--mdev.elastic.encrypted=" + encrypted,
                "--mdev.elastic.stay=0ms",
                "--mdev.elastic.max-ratio=8");
    }

    private static void define(Api api) {
        for (int guest = 0; guest < KeptCard.DEVICES; guest++) {
            api.put(
                            "/api/v1/mdevs/" + uuid(guest),
                            """
                            {"parent":"%s","type":"%s","persist":true,"autostart":true}\
                            """
                                    .formatted(KeptCard.PARENT, KeptCard.TYPE))
                    .requireStatus(201);
        }
    }

    /// The devices are there again, with their minimums, and nothing of the last process is.
    private void requireNothingLeft(Api api, Path card) throws IOException {
        assertThat(requireMinimums(api)).isEqualTo(KeptCard.DEVICES);
        assertThat(Files.readAllBytes(card)).as("the card's memory, seed=%d", seed).containsOnly(0);
        Path store = folder.resolve("state").resolve("elastic");
        if (Files.exists(store)) {
            try (Stream<Path> files = Files.list(store)) {
                // A kill may leave the name of a file that was just made, but nothing in it.
                assertThat(files).allSatisfy(file -> assertThat(file).isEmptyFile());
            }
        }
    }

    /// @return the devices
    private static int requireMinimums(Api api) {
        JsonNode elastic = elastic(api);
        elastic.forEach(device ->
                assertThat(device.at("/heldPages").asLong())
                        .as("%s", device)
                        .isBetween((long) KeptCard.MIN_PAGES, (long) KeptCard.MAX_PAGES));
        return elastic.size();
    }

    private static JsonNode elastic(Api api) {
        return api.get("/api/v1/parents/%s/capacity".formatted(KeptCard.PARENT))
                .requireStatus(200)
                .body()
                .at("/pools/0/elastic");
    }

    /// Lets all guests work, looks at them for a while, and kills the service under them.
    ///
    /// @return pages that were taken away from devices
    private long useAndKill(ServiceProcess service) throws Exception {
        Api api = service.api();
        CountDownLatch working = new CountDownLatch(KeptCard.DEVICES);
        List<Future<Object>> guests = new ArrayList<>();
        long taken = 0;
        try (ExecutorService threads = Executors.newFixedThreadPool(KeptCard.DEVICES)) {
            try {
                for (int i = 0; i < KeptCard.DEVICES; i++) {
                    api.createMachine("vm" + i, uuid(i));
                    Guest guest = new Guest(i, random.split());
                    guests.add(
                            threads.submit(() -> guest.workUntilKilled(service.port(), working)));
                }
                assertThat(working.await(Deadlines.HANG_SECONDS, TimeUnit.SECONDS)).isTrue();
                int looks = random.nextInt(1, 30);
                for (int look = 0; look < looks; look++) {
                    requireMinimums(api);
                }
                for (JsonNode device : elastic(api)) {
                    taken += device.at("/evictedPages").asLong();
                }
            } finally {
                service.kill();
            }
            for (Future<Object> guest : guests) {
                guest.get();
            }
        }
        return taken;
    }

    /// A guest that knows what it stored to the first word of each page. Everything is zero before.
    private static final class Guest {
        private static final int STEPS = 24;

        private final int id;
        private final SplittableRandom random;
        private final long[] stored = new long[KeptCard.MAX_PAGES];

        Guest(int id, SplittableRandom random) {
            this.id = id;
            this.random = random;
        }

        /// @param working counts down after the first round
        Object workUntilKilled(int port, CountDownLatch working) {
            Api api = new Api(port);
            try {
                work(api);
                working.countDown();
                while (true) {
                    work(api);
                }
            } catch (UncheckedIOException e) {
                // The service is gone.
                return e;
            } finally {
                // Nobody waits for a guest that failed.
                working.countDown();
                api.close();
            }
        }

        private void work(Api api) {
            List<String> steps = new ArrayList<>();
            for (int i = 0; i < STEPS; i++) {
                int page = random.nextInt(stored.length);
                steps.add(step("check", page));
                stored[page] = (id + 1L) << 48 | random.nextLong() >>> 16;
                steps.add(step("write", page));
            }
            Answer answer =
                    api.run(
                                    "vm" + id,
                                    "{\"deadlineMillis\":60000,\"steps\":[%s]}"
                                            .formatted(String.join(",", steps)))
                            .requireStatus(200);
            assertThat(answer.at("/end")).as("%s", answer).isEqualTo("completed");
            for (JsonNode step : answer.body().at("/steps")) {
                assertThat(step.at("/mismatches").asLong(0)).as("guest %d: %s", id, step).isZero();
            }
        }

        private String step(String op, int page) {
            return """
            {"op":"%s","at":{"mdev":"%s","bar":0,"offset":"0x%x"},"width":8,"value":"0x%x"}\
            """
                    .formatted(op, uuid(id), (long) page * PAGE, stored[page]);
        }
    }
}
