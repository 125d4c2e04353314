package dev.mdev.core.bus;

import dev.mdev.api.page.Page;
import dev.mdev.core.elastic.DeviceMemory;
import dev.mdev.core.elastic.ElasticOptions;
import dev.mdev.core.elastic.ElasticUsage;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.store.DirectoryFiles;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.stream.Stream;

/// A process whose devices use more pages than its card has, until it is killed. The backing store
/// is in files.
///
/// It prints a line for some accesses, and `LEAK` or `BROKEN` for what must not be. Arguments: the
/// directory, the seed.
final class ElasticKilledProcess {
    private static final int PAGES = 48;
    private static final int MIN = 8;
    private static final int MAX = 40;
    private static final int DEVICES = 4;
    private static final int ROUND = 64;

    private ElasticKilledProcess() {}

    public static void main(String[] args) throws IOException, InterruptedException {
        Path directory = Path.of(args[0]);
        Path store = directory.resolve("store");
        SplittableRandom random = new SplittableRandom(Long.parseLong(args[1]));
        FileCard card = FileCard.open(directory.resolve("elastic-vram"), PAGES);
        try (HostMemory host = new HostMemory(new OffHeapBackend())) {
            MdevBus bus =
                    new MdevBus(
                            host,
                            new DirectoryFiles(directory.resolve("elastic-state")),
                            BusOptions.of(Duration.ofSeconds(30), MdevObserver.NONE)
                                    .with(
                                            new ElasticOptions(
                                                    Duration.ZERO,
                                                    8,
                                                    Optional.of(store),
                                                    1 << 24,
                                                    false)));
            bus.addDriver(new ElasticDriver(ElasticDriver.type(MIN, MAX, DEVICES), card), Map.of());
            if (!card.isZero(0, PAGES)) {
                System.out.println("LEAK of the last process");
            }
            requireNoFiles(store);
            Thread[] threads = new Thread[DEVICES];
            for (int i = 0; i < DEVICES; i++) {
                long id = i + 1L;
                SplittableRandom own = random.split();
                DeviceMemory device =
                        bus.create(UUID.randomUUID(), "gpu0", "elastic").elastic().getFirst();
                threads[i] = new Thread(() -> work(device, id, own));
            }
            System.out.println("READY");
            for (Thread thread : threads) {
                thread.start();
            }
            for (Thread thread : threads) {
                thread.join();
            }
        }
    }

    /// A kill may leave the name of a file that was just made, but nothing in it.
    private static void requireNoFiles(Path store) throws IOException {
        if (Files.exists(store)) {
            try (Stream<Path> files = Files.list(store)) {
                for (Path file : files.toList()) {
                    if (Files.size(file) > 0) {
                        System.out.println("LEAK in " + file);
                    }
                }
            }
        }
    }

    /// Stores to random pages, and checks what it finds there.
    private static void work(DeviceMemory device, long id, SplittableRandom random) {
        long[] stored = new long[MAX];
        while (true) {
            for (int i = 0; i < ROUND; i++) {
                int page = random.nextInt(MAX);
                long found = device.load(Page.addressOf(page), Long.BYTES);
                if (found != stored[page]) {
                    System.out.printf("LEAK page=%d 0x%x of 0x%x%n", page, found, stored[page]);
                }
                stored[page] = id << 48 | (random.nextLong() >>> 16);
                device.store(Page.addressOf(page), Long.BYTES, stored[page]);
            }
            ElasticUsage usage = device.usage();
            if (usage.heldPages() < MIN) {
                System.out.println("BROKEN " + usage);
            }
            System.out.println(usage.returnedPages() > 0 ? "returned " + id : "round " + id);
        }
    }
}
