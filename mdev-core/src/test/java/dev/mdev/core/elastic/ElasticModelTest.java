package dev.mdev.core.elastic;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.ElasticMemory;
import dev.mdev.api.page.Page;
import dev.mdev.core.support.Seeded;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;

/// The allocator and the reclaim, against [ReferencePool], which does the same with plain lists and
/// no locks. Compared are the number of frames of each share, the resident units, and their
/// content.
///
/// `-Dmdev.elastic.operations` sets the number of operations.
final class ElasticModelTest {
    private static final int OPERATIONS = Integer.getInteger("mdev.elastic.operations", 1_000_000);
    private static final int UNITS = 96;

    private record Pair(
            ElasticWorld.Device real,
            ReferencePool.Device model,
            Map<Integer, List<ElasticMemory.Pin>> pins) {}

    @Test
    void thePoolDoesWhatTheReferenceDoes() {
        Seeded.run(1, random -> new Run(random).go());
    }

    private static final class Run {
        private final SplittableRandom random;
        private final ElasticWorld world =
                new ElasticWorld(UNITS, 1, ElasticWorld.options(), Deadlines.HANG);
        private final ReferencePool reference = new ReferencePool(UNITS);
        private final List<Pair> devices = new ArrayList<>();

        Run(SplittableRandom random) {
            this.random = random;
        }

        void go() {
            for (int i = 0; i < OPERATIONS; i++) {
                operate();
                if (i % 256 == 0) {
                    compare();
                }
            }
            compare();
            devices.forEach(pair -> pair.real.end());
        }

        private void operate() {
            int kind = random.nextInt(1000);
            if (devices.isEmpty() || kind < 2) {
                create();
                return;
            }
            Pair pair = devices.get(random.nextInt(devices.size()));
            if (kind < 3) {
                end(pair);
            } else if (kind < 20) {
                pin(pair);
            } else if (kind < 40) {
                unpin(pair);
            } else if (kind < 60) {
                discard(pair);
            } else {
                access(pair, kind);
            }
        }

        private void create() {
            int min = random.nextInt(8, 16);
            int max = min + random.nextInt(1, 80);
            if (devices.size() == 6) {
                return;
            }
            if (world.freeUnits() < min) {
                long freed = world.pool.makeFree(min - world.freeUnits());
                assertThat(freed).isEqualTo(reference.makeFree(min - reference.free));
            }
            if (world.freeUnits() >= min) {
                devices.add(
                        new Pair(
                                world.new Device(min, max),
                                reference.create(min, max),
                                new HashMap<>()));
            }
        }

        private void end(Pair pair) {
            devices.remove(pair);
            pair.real.end();
            reference.end(pair.model);
        }

        private int pageOf(Pair pair) {
            int max = pair.model.max;
            // Some pages are used more often than others.
            return random.nextBoolean()
                    ? random.nextInt(max)
                    : random.nextInt(Math.min(max, pair.model.min));
        }

        private void access(Pair pair, int kind) {
            int page = pageOf(pair);
            long value = random.nextInt(4) == 0 ? 0 : random.nextLong();
            if (kind < 500) {
                long expected = pair.model.exchange(page, value);
                boolean known = pair.real.mapped().containsKey((long) page);
                if (!known) {
                    pair.model.require(page);
                }
                assertThat(pair.real.exchange(page, value)).isEqualTo(expected);
            } else if (kind < 750) {
                pair.model.require(page);
                pair.model.exchange(page, value);
                pair.real.memory.store(Page.addressOf(page), 8, value);
            } else {
                if (pair.model.isStoredOrResident(page)) {
                    pair.model.require(page);
                }
                assertThat(pair.real.memory.load(Page.addressOf(page), 8))
                        .isEqualTo(pair.model.valueOf(page));
            }
        }

        private void pin(Pair pair) {
            int page = pageOf(pair);
            if (pair.model.pinned() < pair.model.min / 2) {
                pair.model.require(page);
                pair.model.pin(page);
                pair.pins
                        .computeIfAbsent(page, _ -> new ArrayList<>())
                        .add(pair.real.memory.pin(page, 1));
            }
        }

        private void unpin(Pair pair) {
            if (!pair.pins.isEmpty()) {
                int page = pair.pins.keySet().stream().sorted().findFirst().orElseThrow();
                List<ElasticMemory.Pin> pins = Objects.requireNonNull(pair.pins.get(page));
                pins.removeLast().close();
                pair.model.unpin(page);
                if (pins.isEmpty()) {
                    pair.pins.remove(page);
                }
            }
        }

        private void discard(Pair pair) {
            int first = pageOf(pair);
            int npages = random.nextInt(1, pair.model.max - first + 1);
            pair.real.memory.discard(first, npages);
            pair.model.discard(first, npages);
        }

        private void compare() {
            assertThat(world.freeUnits()).as("free").isEqualTo(reference.free);
            for (Pair pair : devices) {
                ElasticUsage usage = pair.real.memory.usage();
                assertThat(usage.heldPages())
                        .isEqualTo(pair.model.held)
                        .isBetween((long) pair.model.min, (long) pair.model.max);
                assertThat(usage.usedPages()).isEqualTo(pair.model.held - pair.model.spares);
                assertThat(usage.storedPages()).isEqualTo(pair.model.storedPages());
                for (int page = 0; page < pair.model.max; page++) {
                    assertThat(pair.real.memory.pfnOf(page).isPresent())
                            .as("page=%d is resident", page)
                            .isEqualTo(pair.model.isResident(page));
                }
                pair.real
                        .mapped()
                        .forEach((page, pfn) ->
                                assertThat(pair.real.memory.pfnOf(page)).hasValue(pfn));
            }
        }
    }
}
