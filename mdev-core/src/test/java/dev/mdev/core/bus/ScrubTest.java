package dev.mdev.core.bus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.capacity.PoolExtent;
import dev.mdev.core.device.Parent;
import dev.mdev.core.device.ScrubReport;
import dev.mdev.core.engine.ScriptedDriver;
import dev.mdev.core.engine.kvm.mm.FileMapping;
import dev.mdev.core.engine.kvm.mm.MemfdMemory;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.MemoryBackend;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.store.CrashPlan;
import dev.mdev.core.sys.FileFacts;
import dev.mdev.core.sys.Syscalls;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;

@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class ScrubTest {
    private static final UUID ONE = new UUID(5, 1);
    private static final UUID TWO = new UUID(5, 2);

    private final Card card =
            new Card("gpu0", 200, false).with("t150", 150, 1, true).with("t1", 1, 1, true);

    private void dirtyAll() {
        byte[] junk = new byte[(int) BusWorld.bytes(200)];
        Arrays.fill(junk, (byte) 0x77);
        card.vram.mapped(0, new CrashPlan()).write(0, MemorySegment.ofArray(junk));
    }

    @Test
    void unknownMemoryIsScrubbedOnceBeforeItsFirstUse() {
        dirtyAll();

        try (BusWorld world = new BusWorld(card).plug()) {
            world.check();
            assertThat(world.scrubs).extracting(ScrubReport::bytes).containsExactly(200 * 4096L);
            assertThat(world.bus.parent("gpu0").scrubbedBytes()).isEqualTo(200 * 4096L);
            world.scrubs.clear();

            world.restart().plug();

            assertThat(world.scrubs).isEmpty();
            world.check();
        }
    }

    @Test
    void memoryThatTheHostJustGaveIsNotScrubbed() {
        List<ScrubReport> scrubs = new CopyOnWriteArrayList<>();
        try (HostMemory memory = new HostMemory(new OffHeapBackend());
                MdevBus bus =
                        new MdevBus(
                                memory,
                                Deadlines.HANG,
                                new MdevObserver() {
                                    @Override
                                    public void scrubbed(ScrubReport report) {
                                        scrubs.add(report);
                                    }
                                })) {
            bus.addDriver(new ScriptedDriver(), Map.of());
            assertThat(scrubs).isEmpty();
            bus.create(ONE, ScriptedDriver.PARENT, ScriptedDriver.TYPE);
            bus.remove(ONE);
            assertThat(scrubs).hasSize(1);
        }
    }

    @Test
    @EnabledOnOs(value = OS.LINUX, disabledReason = "files without names are Linux's")
    void theMemoryOfARemovedDeviceGoesBackToTheKernel() {
        List<FileMapping> files = new CopyOnWriteArrayList<>();
        MemfdMemory reserved = new MemfdMemory();
        MemoryBackend backend =
                (name, sizeBytes) -> {
                    FileMapping file = (FileMapping) reserved.allocate(name, sizeBytes);
                    files.add(file);
                    return file;
                };
        try (HostMemory memory = HostMemory.withHomes(backend, Long.MAX_VALUE);
                MdevBus bus = new MdevBus(memory, Deadlines.HANG, new MdevObserver() {})) {
            bus.addDriver(new ScriptedDriver(), Map.of());
            bus.create(ONE, ScriptedDriver.PARENT, ScriptedDriver.TYPE);
            Parent parent = bus.parent(ScriptedDriver.PARENT);
            assertThat(heldBytes(files)).as("before anything is written").isZero();
            PfnRange pages = bus.find(ONE).orElseThrow().share().getFirst().extents().getFirst();
            parent.aperture()
                    .fill(
                            parent.aperture().offsetOf(pages.firstPfn()),
                            pages.npages() * 4096,
                            (byte) 0x55);
            assertThat(heldBytes(files)).isPositive();

            bus.remove(ONE);

            assertThat(heldBytes(files)).isZero();
            assertThat(parent.scrubFailures()).isZero();
        }
    }

    private static long heldBytes(List<FileMapping> files) {
        return files.stream()
                .mapToLong(file -> FileFacts.of(Syscalls.ofThisProcess(), file.file()).heldBytes())
                .sum();
    }

    @Test
    void theContentOfADeviceIsGoneAndCountedBeforeTheNextDeviceGetsItsPages() {
        try (BusWorld world = new BusWorld(card).plug()) {
            world.scrubs.clear();
            world.bus.create(ONE, "gpu0", "t150");
            world.bus.remove(ONE);
            world.bus.create(TWO, "gpu0", "t150");

            assertThat(world.scrubs)
                    .singleElement()
                    .satisfies(report -> {
                        assertThat(report.bytes()).isEqualTo(150 * 4096L);
                        assertThat(report.failedPages()).isZero();
                        assertThat(report.parent()).isEqualTo("gpu0");
                    });
            world.check();
        }
    }

    @Test
    void pagesThatDoNotReadBackAsZeroAreNeverGivenOutAgainNotAfterARestartEither() {
        try (BusWorld world = new BusWorld(card).plug()) {
            world.bus.create(ONE, "gpu0", "t150");
            card.vram.stick(70);
            card.vram.stick(71);
            card.vram.kill(100);

            world.bus.remove(ONE);

            assertQuarantined(world);
            assertThat(world.facts(MdevEvent.PagesQuarantined.class))
                    .extracting(fact -> fact.firstPage() + "+" + fact.npages())
                    .containsExactly("70+2", "100+1");
            assertThat(world.facts(MdevEvent.PagesQuarantined.class).getLast().reason())
                    .contains("page 100 is dead");
            assertThat(world.bus.parent("gpu0").scrubFailures()).isEqualTo(3);
            card.vram.heal();

            world.restart().plug();

            assertQuarantined(world);
            for (int i = 0; i < 197; i++) {
                world.bus.create(new UUID(6, i), "gpu0", "t1");
            }
            world.check();
            assertThat(world.bus.explain("gpu0", "t150").text()).contains("0 are free");
        }
    }

    private static void assertQuarantined(BusWorld world) {
        assertThat(world.bus.parent("gpu0").extents(Card.POOL))
                .filteredOn(extent -> extent.use() == PoolExtent.Use.QUARANTINED)
                .extracting(extent -> extent.firstPage() + "+" + extent.npages())
                .containsExactly("70+2", "100+1");
    }

    @Test
    void memoryThatDoesNotAnswerIsReportedAndDelaysNoOtherDevice() throws Exception {
        CountDownLatch letGo = new CountDownLatch(1);
        try (BusWorld world =
                new BusWorld(new SplittableRandom(1), Duration.ofSeconds(1), card).plug()) {
            world.bus.create(ONE, "gpu0", "t150");
            card.vram.onFill = () -> Deadlines.await(letGo);

            assertThatThrownBy(() -> world.bus.remove(ONE))
                    .isInstanceOfSatisfying(
                            MdevException.class,
                            e -> assertThat(e.errno()).isEqualTo(Errno.ETIMEDOUT));

            world.await(() ->
                    world.facts(MdevEvent.CallbackOverdue.class).stream()
                            .anyMatch(
                                    fact -> fact.call().owner().equals("aperture of parent=gpu0")));
            letGo.countDown();
            world.await(() -> world.bus.status(ONE).isEmpty());
        }
    }

    @Test
    void aParentWhoseMemoryEndsInAnErrorArrivesWithItsDirtyPagesQuarantined() {
        BusWorld world = new BusWorld(card).plug();
        world.bus.create(ONE, "gpu0", "t150");
        world.restart();
        card.vram.onFill =
                () -> {
                    throw new InternalError("simulated");
                };

        world.plug();

        Parent parent = world.bus.parent("gpu0");
        assertThat(world.bus.available(parent, card.types.getFirst())).isZero();
        assertThat(world.facts(MdevEvent.PagesQuarantined.class).getFirst().reason())
                .contains("simulated");
        card.vram.onFill = () -> {};
        world.bus.repair("gpu0");
        assertThat(world.bus.available(parent, card.types.getFirst())).isEqualTo(1);
        world.check();
        world.close();
    }

    /// The second repair leaves the pages of the first alone, whether they are free or a device's.
    @Test
    void twoRepairsAtATimeDoNotTouchPagesThatSomebodyGotInBetween() throws Exception {
        try (BusWorld world = new BusWorld(card).plug()) {
            world.bus.create(ONE, "gpu0", "t150");
            card.vram.stick(70);
            world.bus.remove(ONE);
            card.vram.heal();
            CountDownLatch scrubbing = new CountDownLatch(1);
            CountDownLatch goOn = new CountDownLatch(1);
            card.vram.onFill =
                    () -> {
                        scrubbing.countDown();
                        Deadlines.await(goOn);
                    };
            CompletableFuture<Void> first =
                    CompletableFuture.runAsync(() -> world.bus.repair("gpu0"));
            scrubbing.await();
            int before = world.scrubs.size();

            world.bus.repair("gpu0");

            int after = world.scrubs.size();
            goOn.countDown();
            first.join();
            assertThat(after).as("the second had nothing to do").isEqualTo(before);
            assertThat(world.bus.parent("gpu0").usage().getFirst().freePages()).isEqualTo(200);
            world.check();
        }
    }

    @Test
    void quarantinedPagesComeBackWhenTheyCanBeScrubbedAgain() {
        try (BusWorld world = new BusWorld(card).plug()) {
            world.bus.create(ONE, "gpu0", "t150");
            card.vram.stick(70);
            world.bus.remove(ONE);

            world.bus.repair("gpu0");
            assertThat(world.bus.parent("gpu0").usage().getFirst().freePages()).isEqualTo(199);
            card.vram.heal();
            world.bus.repair("gpu0");

            assertThat(world.bus.parent("gpu0").usage().getFirst().freePages()).isEqualTo(200);
            world.check();
            world.restart().plug();
            assertThat(world.bus.parent("gpu0").usage().getFirst().freePages()).isEqualTo(200);
        }
    }

    @Test
    void aDriversMemoryThatThrowsEverywhereKeepsItsPagesFromEverybody() {
        for (int page = 0; page < 200; page++) {
            card.vram.kill(page);
        }
        try (BusWorld world = new BusWorld(card).plug()) {
            assertThat(world.bus.parent("gpu0").usage().getFirst().freePages()).isZero();
            assertThat(world.facts(MdevEvent.PagesQuarantined.class))
                    .extracting(MdevEvent.PagesQuarantined::npages)
                    .satisfies(counts -> assertThat(sum(counts)).isEqualTo(200));
        }
    }

    private static long sum(List<? extends Long> counts) {
        return counts.stream().mapToLong(Long::longValue).sum();
    }

    @Test
    void afterTheJournalLostRecordsEverythingIsScrubbedAgain() {
        try (BusWorld world = new BusWorld(card).plug()) {
            dirtyAll();
            String journal = world.disk.text("journal");
            world.disk.put(
                    "journal",
                    journal.replaceFirst("met parent", "mat parent")
                            .getBytes(StandardCharsets.US_ASCII));

            world.restart().plug();

            world.check();
            assertThat(world.facts(MdevEvent.JournalTrouble.class)).hasSize(1);
        }
    }
}
