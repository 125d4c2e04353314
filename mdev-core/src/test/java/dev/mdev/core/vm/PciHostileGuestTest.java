package dev.mdev.core.vm;

import static dev.mdev.core.vm.PciMachine.COMMAND;
import static dev.mdev.core.vm.PciMachine.MASTER;
import static dev.mdev.core.vm.PciMachine.MEMORY;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.pci.BarWindow;
import dev.mdev.core.support.Seeded;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;

/// Guests that write anything anywhere into configuration space, compared with a model that decides
/// for each address which BAR was placed there last.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class PciHostileGuestTest {
    private static final long ECAM_GPA = new MachineAddresses(52).ecamGpa();
    private static final int ROUNDS = 6;
    private static final int STEPS = 250;

    /// Addresses that BARs are put at, so close that they overlap.
    private static final long BASE = 1L << 33;

    private static final int UNIVERSE_PAGES = 48;

    @Test
    void whatTheGuestSeesIsWhatWasPutThereLastAndNoSlotLeaks() {
        Seeded.run(
                ROUNDS,
                random -> {
                    try (PciMachine machine = new PciMachine()) {
                        new Round(machine, random).run();
                    }
                });
    }

    /// A BAR at an address, in the order in which they came there.
    private record Placed(AttachedDevice device, BarWindow window) {}

    private static final class Round {
        private final PciMachine machine;
        private final SplittableRandom random;
        private final List<AttachedDevice> devices = new ArrayList<>();

        /// What is decoded, the last that came there at the end.
        private List<Placed> placed = new ArrayList<>();

        Round(PciMachine machine, SplittableRandom random) {
            this.machine = machine;
            this.random = random;
        }

        void run() {
            for (int i = 0; i < 3; i++) {
                plug();
            }
            for (int step = 0; step < STEPS; step++) {
                disturb();
                follow();
                compareSlots();
                compareOneAddress();
            }
            for (AttachedDevice device : List.copyOf(devices)) {
                unplug(device);
            }
            assertThat(machine.deviceSlots()).isEmpty();
            assertThat(machine.answers(BASE)).isFalse();
        }

        private void plug() {
            AttachedDevice device = machine.attach();
            PciDriver.Device driver = machine.driver.devices.getLast();
            int number = device.deviceNumber();
            for (int page = 0; page < PciDriver.PAGES; page++) {
                driver.write(0, Page.addressOf(page), 8, number * 1000L + page);
            }
            driver.registers[0] = (byte) (0x40 + number);
            devices.add(device);
            follow();
        }

        private void unplug(AttachedDevice device) {
            UUID uuid = device.mdev().uuid();
            machine.vm.detach(uuid);
            machine.bus.remove(uuid);
            devices.remove(device);
            follow();
        }

        private void disturb() {
            AttachedDevice device = devices.get(random.nextInt(devices.size()));
            long config = device.configGpa();
            switch (random.nextInt(12)) {
                case 0 -> {
                    unplug(device);
                    plug();
                }
                case 1 -> device.mdev().reset();
                case 2, 3 ->
                        store(config + COMMAND, 1, random.nextInt(4) == 0 ? 0 : MEMORY | MASTER);
                case 4, 5, 6 -> store(config + 0x10, 8, address(16));
                case 7, 8 -> store(config + 0x18, 8, address(1) + 256L * random.nextInt(16));
                case 9 -> store(config + 0x20, 8, address(1));
                case 10 -> {
                    int register = config(device, random.nextInt(1, 5));
                    store(config + register, 1 << random.nextInt(4), random.nextLong());
                }
                default ->
                        store(
                                config + random.nextInt(0x400),
                                1 << random.nextInt(4),
                                random.nextLong());
            }
        }

        private static int config(AttachedDevice device, int what) {
            return switch (what) {
                case 1 -> device.config().capability(0x01) + 4;
                case 2 -> device.config().capability(0x05);
                case 3 -> device.config().capability(0x11);
                default -> device.config().capability(0x13);
            };
        }

        private long address(int alignPages) {
            return BASE + Page.addressOf(random.nextLong(UNIVERSE_PAGES) / alignPages * alignPages);
        }

        private void store(long gpa, int width, long value) {
            ProgramResult result =
                    machine.run(new GuestProgram.Step.Write(new Span(gpa, width, 1, 0), value, 0));
            assertThat(result.end()).isEqualTo(ProgramResult.End.COMPLETED);
        }

        /// A window in its old place keeps its order; a new one comes last.
        private void follow() {
            List<Placed> now = new ArrayList<>();
            for (AttachedDevice device : devices) {
                device.function()
                        .config()
                        .windows()
                        .forEach(window -> now.add(new Placed(device, window)));
            }
            List<Placed> next = new ArrayList<>(placed);
            next.retainAll(now);
            for (Placed bar : now) {
                if (!next.contains(bar)) {
                    next.add(bar);
                }
            }
            placed = next;
        }

        private @Nullable Placed ownerOf(long gpa) {
            for (Placed bar : placed.reversed()) {
                if (gpa >= bar.window.gpa() && gpa < bar.window.endGpa()) {
                    return bar;
                }
            }
            return null;
        }

        /// A page has a slot if all of it is one memory BAR's.
        private void compareSlots() {
            int expected = 0;
            for (Placed bar : placed) {
                if (bar.window.region() != 0 || isFixed(bar.window.gpa())) {
                    continue;
                }
                for (int page = 0; page < PciDriver.PAGES; page++) {
                    long gpa = bar.window.gpa() + Page.addressOf(page);
                    boolean whole = true;
                    for (int at = 0; at < Page.SIZE; at += 256) {
                        whole &= bar.equals(ownerOf(gpa + at));
                    }
                    Memslot slot = machine.vm.slots().find(Page.numberOf(gpa));
                    if (whole) {
                        expected++;
                        assertThat(slot).as("%s page %d", bar, page).isNotNull();
                    } else if (slot != null) {
                        assertThat(ownerOf(gpa)).isNotEqualTo(bar);
                    }
                }
            }
            long pages = machine.deviceSlots().stream().mapToLong(Memslot::npages).sum();
            assertThat(pages).isEqualTo(expected);
        }

        private boolean isFixed(long gpa) {
            return gpa < PciMachine.RAM_BYTES
                    || (gpa >= ECAM_GPA && gpa < ECAM_GPA + MachineAddresses.ECAM_BYTES);
        }

        private void compareOneAddress() {
            long gpa = BASE + Page.addressOf(random.nextInt(UNIVERSE_PAGES));
            Placed owner = ownerOf(gpa);
            long loaded = machine.load(gpa, 1);
            if (owner == null) {
                assertThat(loaded).isEqualTo(0xff);
                return;
            }
            long offset = gpa - owner.window.gpa();
            int number = owner.device.deviceNumber();
            switch (owner.window.region()) {
                case 0 ->
                        assertThat(machine.load(gpa, 8))
                                .as("%s", owner)
                                .isEqualTo(number * 1000L + Page.numberOf(offset));
                case 2 -> assertThat(loaded).isEqualTo(offset == 0 ? 0x40 + number : 0);
                default -> assertThat(offset).isLessThan(owner.window.sizeBytes());
            }
        }
    }

    @Test
    void processorsThatMoveBarsAtTheSameTimeEndWhereTheRegistersSay() throws Exception {
        try (PciMachine machine = new PciMachine()) {
            AttachedDevice one = machine.attach();
            AttachedDevice two = machine.attach();
            PciDriver.Device driver = machine.device(0);
            AtomicBoolean done = new AtomicBoolean();
            CompletableFuture<Long> pinning =
                    CompletableFuture.supplyAsync(
                            () -> pinUntil(done, driver, two), PciMachine.THREADS);
            List<CompletableFuture<Void>> moving = new ArrayList<>();
            for (AttachedDevice device : List.of(one, two)) {
                moving.add(
                        CompletableFuture.runAsync(
                                () -> {
                                    SplittableRandom random =
                                            new SplittableRandom(device.deviceNumber());
                                    for (int i = 0; i < 400; i++) {
                                        long page = random.nextLong(UNIVERSE_PAGES) / 16 * 16;
                                        device.config().write(0x10, 8, BASE + Page.addressOf(page));
                                        device.config()
                                                .write(COMMAND, 2, random.nextInt(5) == 0 ? 0 : 6);
                                    }
                                },
                                PciMachine.THREADS));
            }
            for (CompletableFuture<Void> mover : moving) {
                mover.get();
            }
            done.set(true);
            assertThat(pinning.get()).isNotNegative();

            // Where a BAR stays, so do the pins of its pages.
            one.config().write(COMMAND, 2, 0);
            two.config().write(COMMAND, 2, 0);
            one.config().write(0x10, 8, BASE);
            two.config().write(0x10, 8, BASE + Page.bytesOf(PciDriver.PAGES));
            one.config().write(COMMAND, 2, MEMORY);
            two.config().write(COMMAND, 2, MEMORY);
            machine.store(BASE, 8, 1);
            machine.store(BASE + Page.bytesOf(PciDriver.PAGES), 8, 2);
            assertThat(machine.device(0).memoryLong(0)).isOne();
            assertThat(machine.device(1).memoryLong(0)).isEqualTo(2);
            assertThat(machine.deviceSlots()).hasSize(2);
            assertThat(one.dma().pinnedPages() + two.dma().pinnedPages()).isZero();
        }
    }

    /// Pins pages of the other device's BAR, wherever it is, and lets some go.
    private static long pinUntil(
            AtomicBoolean done, PciDriver.Device driver, AttachedDevice target) {
        long pinned = 0;
        while (!done.get()) {
            long gpa = target.barGpa(0).orElse(BASE);
            try {
                var pin = driver.memory().pin(gpa, 4, Access.WRITE);
                pinned++;
                if (pinned % 2 == 0) {
                    pin.write(0, MemorySegment.ofArray(new byte[8]));
                    pin.close();
                }
            } catch (dev.mdev.api.MdevException e) {
                assertThat(e.errno().name()).isIn("EFAULT", "ENODEV", "ENOMEM");
            }
        }
        return pinned;
    }
}
