package dev.mdev.core.engine.barfile;

import static dev.mdev.core.engine.ScriptedDriver.DEVICE_PAGES;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.MapDecision;
import dev.mdev.api.page.Prot;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;

/// Revocations, and the host's own accesses, while a client in another process runs, stands still
/// or dies.
@Timeout(value = 600, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class BarRevokeTest extends BarWorld {
    private static final int REVOCATIONS = Integer.getInteger("mdev.revocations", 1000);
    private static final int WORDS = 4;

    /// Four threads count in words of two pages, while the pages are revoked: each increment that a
    /// thread made is in the device's memory at the end.
    @Test
    void noStoreIsLostByRevocations() throws Exception {
        MdevAssignment assignment = assign();
        BarClient client = client(open(assignment));
        for (int word = 0; word < WORDS; word++) {
            client.startCounting(offsetOf(word));
        }

        for (int round = 0; round < REVOCATIONS; round++) {
            assignment.mdev().revoke(0, round % 3, 1 + round % 2);
        }

        List<Long> counted = client.stopCounting();
        assertThat(counted.getLast()).as("threads that got SIGBUS").isZero();
        assignment.mdev().revoke(0, 0, DEVICE_PAGES);
        for (int word = 0; word < WORDS; word++) {
            assertThat(deviceWord(offsetOf(word))).as("word %d", word).isEqualTo(counted.get(word));
        }
    }

    /// The device writes its own words of the same pages meanwhile, and reads them back.
    @Test
    void noStoreOfTheClientOrTheDeviceIsLostWhileBothWriteAPage() throws Exception {
        MdevAssignment assignment = assign();
        BarClient client = client(open(assignment));
        for (int word = 0; word < WORDS; word++) {
            client.startCounting(offsetOf(word));
        }

        for (int round = 1; round <= REVOCATIONS; round++) {
            long page = round % 2;
            setDeviceWord(at(page) + 2048, round);
            assertThat(deviceWord(at(page) + 2048)).as("round=%d", round).isEqualTo(round);
            if (round % 10 == 0) {
                assignment.mdev().revoke(0, page, 1);
                assertThat(deviceWord(at(page) + 2048)).as("round=%d", round).isEqualTo(round);
            }
        }

        List<Long> counted = client.stopCounting();
        assertThat(counted.getLast()).as("threads that got SIGBUS").isZero();
        for (int word = 0; word < WORDS; word++) {
            assertThat(deviceWord(offsetOf(word))).as("word %d", word).isEqualTo(counted.get(word));
            assertThat(client.load(offsetOf(word))).isEqualTo(counted.get(word));
        }
    }

    /// Two clients go through all pages again and again, while ranges of any place and length are
    /// revoked without a pause: each gets on.
    @Test
    void clientsGetOnWhileRandomRangesAreRevokedWithoutAPause() throws Exception {
        MdevAssignment assignment = assign();
        BarFile file = open(assignment);
        List<BarClient> clients = List.of(client(file), client(file));
        AtomicBoolean stop = new AtomicBoolean();
        Random random = new Random(Long.getLong("mdev.seed", 1));
        CompletableFuture<Void> revoker =
                CompletableFuture.runAsync(
                        () -> {
                            while (!stop.get()) {
                                int page = random.nextInt((int) DEVICE_PAGES);
                                int most = (int) DEVICE_PAGES - page;
                                assignment.mdev().revoke(0, page, 1 + random.nextInt(most));
                            }
                        },
                        task -> Thread.ofPlatform().daemon().start(task));
        try {
            for (long done = 0; done < REVOCATIONS; done += DEVICE_PAGES) {
                String pass = "fill 0 %d %x".formatted(DEVICE_PAGES, done);
                clients.forEach(client -> client.send(pass));
                clients.forEach(client -> assertThat(client.answer()).isEqualTo("ok"));
            }
        } finally {
            stop.set(true);
        }
        assertThat(revoker).succeedsWithin(Deadlines.HANG);
        assertThat(file.counts().refused()).isZero();
    }

    private static long offsetOf(int word) {
        return at(word % 2) + word * 8L;
    }

    private long deviceWord(long offsetBytes) {
        MemorySegment value = MemorySegment.ofArray(new long[1]);
        driver.aperture().read(apertureOffset(0, 0) + offsetBytes, value);
        return value.get(ValueLayout.JAVA_LONG, 0);
    }

    private void setDeviceWord(long offsetBytes, long value) {
        driver.aperture()
                .write(
                        apertureOffset(0, 0) + offsetBytes,
                        MemorySegment.ofArray(new long[] {value}));
    }

    @Test
    void noStoreLandsInAPageAfterItsRevocationReturned() throws Exception {
        MdevAssignment assignment = assign();
        AtomicLong shift = new AtomicLong();
        driver.answer =
                (d, request) ->
                        MapDecision.grantPage(
                                request, d.pfnOf(request.page() + shift.get()), Prot.READ_WRITE);
        BarClient client = client(open(assignment));
        for (int word = 0; word < WORDS; word++) {
            client.startCounting(word * 8L);
        }
        for (int round = 0; round < REVOCATIONS; round++) {
            int old = (int) shift.get();
            shift.set((old + 1) % 8);
            assignment.mdev().revoke(0, 0, 1);
            for (int word = 0; word < WORDS; word++) {
                setDeviceWord(at(old) + word * 8L, 0);
            }
            for (int spin = 0; spin < 20; spin++) {
                for (int word = 0; word < WORDS; word++) {
                    assertThat(deviceWord(at(old) + word * 8L)).as("round=%d", round).isZero();
                }
            }
        }
        assertThat(client.stopCounting().getLast()).isZero();
    }

    /// The callback needs granted pages while another access of the same client waits for it.
    @Test
    void aCallbackReadsAndWritesGrantedPagesWhileTheClientUsesThem() throws Exception {
        driver.answer =
                (d, request) -> {
                    if (request.page() >= 4) {
                        setDeviceLong(0, 1, deviceLong(0, 1) + 1);
                        setDeviceLong(0, 2, deviceLong(0, 2) + deviceLong(0, 3));
                        d.context.revoke(0, 3, 1);
                    }
                    return MapDecision.grantPage(request, d.pfnOf(request.page()), Prot.READ_WRITE);
                };
        BarClient client = client(open(assign()));
        client.fill(1, 3, 100);
        client.startCounting(at(1) + 512);
        client.startCounting(at(3) + 512);

        client.fill(at(4), 32, 7);

        List<Long> counted = client.stopCounting();
        assertThat(counted.getLast()).isZero();
        assertThat(deviceWord(at(1) + 512)).isEqualTo(counted.get(0));
        assertThat(deviceWord(at(3) + 512)).isEqualTo(counted.get(1));
    }

    @Test
    void aClientThatStandsStillDelaysNoRevocation() throws Exception {
        MdevAssignment assignment = assign();
        BarClient client = client(open(assignment));
        client.startCounting(at(2));
        client.fill(at(4), 16, 9);
        client.signal("STOP");
        while (!client.isStopped()) {
            Thread.onSpinWait();
        }

        assignment.mdev().revoke(0, 0, DEVICE_PAGES);
        setDeviceLong(0, 4, 0);
        long counted = deviceWord(at(2));

        assertThat(deviceWord(at(5))).isEqualTo(10);
        assertThat(deviceLong(0, 4)).as("nothing comes after it").isZero();
        assertThat(deviceWord(at(2))).isEqualTo(counted);
        client.signal("CONT");
        assertThat(client.stopCounting().getLast()).isZero();
    }

    @Test
    void aClientThatIsKilledLeavesItsStoresAndTheFileWorksOn() throws Exception {
        MdevAssignment assignment = assign();
        BarFile file = open(assignment);
        BarClient client = client(file);
        client.fill(0, 32, 0x31);
        client.signal("KILL");
        client.awaitEnd();

        BarClient next = client(file);

        assertThat(next.mismatches(0, 32, 0x31)).isZero();
        next.store(at(1), 4);
        assignment.mdev().revoke(0, 0, DEVICE_PAGES);
        assertThat(deviceLong(0, 0)).isEqualTo(0x31);
        assertThat(deviceLong(0, 1)).isEqualTo(4);
        assertThat(deviceLong(0, 31)).isEqualTo(0x31 + 31);
    }

    /// The access is answered; what the driver grants later is found at the next one.
    @Test
    void aDriverThatHangsFailsOneAccessOfItsClientOnly() throws Exception {
        BarFileSystem quick =
                later(
                        BarFileSystem.mount(
                                directory.resolve("quick"),
                                memory,
                                BarFileOptions.DEFAULT.withAnswerWithin(Duration.ofMillis(300))));
        CountDownLatch release = new CountDownLatch(1);
        AtomicBoolean hangs = new AtomicBoolean(true);
        var good = driver.answer;
        driver.answer =
                (d, request) -> {
                    if (d == device(0) && hangs.get()) {
                        awaitUninterruptibly(release);
                    }
                    return good.apply(d, request);
                };
        MdevAssignment hung = assign();
        BarFile file = later(quick.open(hung, hung.mdev().region(0)));
        BarClient client = client(file);
        MdevAssignment healthy = assign();
        BarClient other = client(later(quick.open(healthy, healthy.mdev().region(0))));
        try {
            assertThat(client.load(0)).isEqualTo(-1);
            other.fill(0, 8, 1);
            assertThat(file.counts().timedOut()).isOne();
        } finally {
            hangs.set(false);
            release.countDown();
        }
        long value = -1;
        for (long start = System.nanoTime();
                value == -1
                        && System.nanoTime() - start
                                < TimeUnit.SECONDS.toNanos(Deadlines.HANG_SECONDS); ) {
            value = client.load(0);
        }
        assertThat(value).as("granted after all").isZero();
    }

    private static void awaitUninterruptibly(CountDownLatch latch) {
        boolean interrupted = false;
        while (true) {
            try {
                latch.await();
                break;
            } catch (InterruptedException _) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
