package dev.mdev.core.vm;

import static dev.mdev.core.vm.PciMachine.COMMAND;
import static dev.mdev.core.vm.PciMachine.MASTER;
import static dev.mdev.core.vm.PciMachine.MEMORY;
import static dev.mdev.core.vm.PciMachine.assertErrno;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.BarInfo;
import dev.mdev.api.Errno;
import dev.mdev.api.MapRequest;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Page;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.pci.RegionAccess;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/// The places of a device's BARs for a guest, and their content.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class PciDecodeTest {
    private static final MachineAddresses ADDRESSES = new MachineAddresses(52);
    private static final long ECAM_GPA = ADDRESSES.ecamGpa();
    private static final long ELSEWHERE = 1L << 39;
    private static final int LATE_ACCESSES = 2000;
    private static final AttachOptions BARE =
            new AttachOptions(false, AttachOptions.DEFAULT_PIN_LIMIT_PAGES);

    private final PciMachine machine = new PciMachine();

    @AfterEach
    void stop() {
        machine.close();
    }

    @Test
    void withoutFirmwareNothingIsDecodedUntilTheGuestSaysSo() {
        AttachedDevice device = machine.vm.attach(machine.create(), BARE);
        long config = device.configGpa();

        assertThat(machine.deviceSlots()).isEmpty();
        assertThat(device.barGpas()).isEmpty();
        machine.store(config + 0x10, 8, ELSEWHERE);
        assertThat(machine.deviceSlots()).isEmpty();
        assertThat(machine.answers(ELSEWHERE)).isFalse();

        machine.store(config + COMMAND, 2, MEMORY);

        assertThat(device.barGpa(0)).contains(ELSEWHERE);
        assertThat(machine.deviceSlots())
                .singleElement()
                .satisfies(slot -> {
                    assertThat(PciMachine.gpaOf(slot)).isEqualTo(ELSEWHERE);
                    assertThat(slot.npages()).isEqualTo(PciDriver.PAGES);
                });
        machine.store(ELSEWHERE + 8, 8, 0x1122_3344L);
        assertThat(machine.device(0).memoryLong(8)).isEqualTo(0x1122_3344L);
    }

    @Test
    void aBarThatIsTurnedOffGivesItsSlotBack() {
        AttachedDevice device = machine.vm.attach(machine.create(), BARE);
        machine.store(device.configGpa() + 0x10, 8, ELSEWHERE);
        for (int i = 0; i < 3; i++) {
            machine.store(device.configGpa() + COMMAND, 2, MEMORY);
            assertThat(machine.vm.slots().slotOf(1)).as("its slot, time %d", i).isNotNull();
            machine.store(device.configGpa() + COMMAND, 2, 0);
            assertThat(machine.deviceSlots()).isEmpty();
        }
    }

    @Test
    void aGuestProgramEnumeratesTheBusByMemoryAccesses() {
        AttachedDevice device = machine.attach();

        assertThat(device.address()).isEqualTo("00:01.0");
        assertThat(device.configGpa()).isEqualTo(ECAM_GPA + (1 << 15));
        assertThat(machine.load(device.configGpa(), 4)).isEqualTo(0x11e9_1234L);
        assertThat(machine.load(device.configGpa() + 8, 4)).isEqualTo(0x0380_0002L);
        assertThat(machine.load(device.configGpa() + 3, 1)).isEqualTo(0x11);
        assertThat(machine.load(device.configGpa() + 0x2c, 8) & 0xffff_ffffL)
                .isEqualTo(0x1100_1af4L);
        assertThat(machine.load(ECAM_GPA, 4)).isEqualTo(0xffff_ffffL);
        assertThat(machine.load(device.configGpa() + (1 << 12), 4)).isEqualTo(0xffff_ffffL);
        assertThat(machine.load(device.configGpa() + 0x100, 4)).isEqualTo(0xffff_ffffL);
        assertThat(machine.load(device.configGpa() + 0xfd, 8)).isEqualTo(0xffff_ffff_ff00_0000L);
    }

    @Test
    void firmwareTurnsOnMemoryAndBusMastering() {
        AttachedDevice device = machine.attach();

        assertThat(device.config().read(COMMAND, 2)).isEqualTo(MEMORY | MASTER);
        assertThat(device.barGpa(0)).contains(ADDRESSES.barWindowGpa());
        assertThat(device.barGpas().keySet()).containsExactly(0, 2, 4);
        assertThat(device.mappingFailure()).isEmpty();
    }

    @Test
    void decodingOffTakesSlotsAndMappingsAwayAndOnAsksTheDriverAgain() {
        AttachedDevice device = machine.attach();
        long bar = device.barGpa(0).orElseThrow();
        machine.store(bar, 8, 42);
        assertThat(device.mdev().residentPages()).isOne();

        machine.store(device.configGpa() + COMMAND, 2, MASTER);

        assertThat(machine.deviceSlots()).isEmpty();
        assertThat(machine.answers(bar)).isFalse();
        assertThat(machine.answers(bar + Page.bytesOf(PciDriver.PAGES))).isFalse();
        assertThat(device.mdev().residentPages()).isZero();
        machine.store(device.configGpa() + COMMAND, 2, MASTER | MEMORY);
        assertThat(machine.load(bar, 8)).isEqualTo(42);
        assertThat(machine.device(0).requests.getLast().reason())
                .isEqualTo(MapRequest.Reason.AFTER_REVOKE);
    }

    @Test
    void aBarThatMovesKeepsItsPagesAndAsksNothing() {
        AttachedDevice device = machine.attach();
        long bar = device.barGpa(0).orElseThrow();
        machine.store(bar, 8, 42);
        int slot = machine.deviceSlots().getFirst().id();

        machine.store(device.configGpa() + 0x10, 8, ELSEWHERE);

        assertThat(machine.answers(bar)).isFalse();
        assertThat(machine.load(ELSEWHERE, 8)).isEqualTo(42);
        assertThat(machine.device(0).requests).hasSize(1);
        assertThat(machine.deviceSlots().getFirst().id()).isEqualTo(slot);
    }

    @Test
    void halfMovedByTwoWritesOf32BitsTheBarIsWhereTheRegistersSay() {
        AttachedDevice device = machine.attach();
        long config = device.configGpa();

        machine.store(config + 0x14, 4, 0x200);
        assertThat(device.barGpa(0)).contains(0x200_0000_0000L);
        machine.store(config + 0x10, 4, 0x1234_5678L);

        assertThat(device.barGpa(0)).contains(0x200_1234_0000L);
        assertThat(machine.load(config + 0x10, 4)).isEqualTo(0x1234_000cL);
        machine.store(0x200_1234_0000L, 4, 7);
        assertThat(machine.device(0).memoryLong(0)).isEqualTo(7);
    }

    /// A device whose memory begins with a value.
    private AttachedDevice attachWith(long value) {
        AttachedDevice device = machine.attach();
        machine.store(device.barGpa(0).orElseThrow(), 8, value);
        return device;
    }

    @Test
    void ofTwoBarsAtOneAddressTheLaterIsSeenAndTheEarlierComesBack() {
        AttachedDevice one = attachWith(1);
        AttachedDevice two = attachWith(2);
        long first = one.barGpa(0).orElseThrow();
        long second = two.barGpa(0).orElseThrow();

        machine.store(two.configGpa() + 0x10, 8, first);

        assertThat(machine.load(first, 8)).isEqualTo(2);
        assertThat(machine.deviceSlots()).hasSize(1);
        machine.store(two.configGpa() + COMMAND, 2, 0);
        assertThat(machine.load(first, 8)).isEqualTo(1);
        machine.store(two.configGpa() + COMMAND, 2, MEMORY);
        assertThat(machine.load(first, 8)).isEqualTo(2);
        machine.store(one.configGpa() + 0x10, 8, second);
        machine.store(one.configGpa() + 0x10, 8, first);
        assertThat(machine.load(first, 8)).isEqualTo(1);
    }

    /// A processor looks up the target, and may be late: by then, decoding is off, or on again.
    @Test
    void anAccessThatIsLateWhileDecodingGoesOffAndOnNeverFails() {
        AttachedDevice device = machine.attach();
        MmioBus.Target late = device.target(0);
        CompletableFuture<Void> guest =
                CompletableFuture.runAsync(
                        () -> {
                            for (int i = 0; i < LATE_ACCESSES; i++) {
                                device.config().write(COMMAND, 2, 0);
                                device.config().write(COMMAND, 2, MEMORY);
                            }
                        },
                        PciMachine.THREADS);
        while (!guest.isDone()) {
            assertThat(late.write(0, 8, 1)).isInstanceOf(RegionAccess.Done.class);
            assertThat(late.read(0, 8)).isInstanceOf(RegionAccess.Done.class);
        }
        guest.join();
    }

    @Test
    void anAccessThatIsLateWhenTheDeviceWasTakenOutFindsNobody() {
        AttachedDevice device = machine.attach();
        MmioBus.Target late = device.target(0);

        machine.vm.detach(device.mdev().uuid());

        assertThat(late.read(0, 4)).isEqualTo(new RegionAccess.Done(-1));
        assertThat(late.write(0, 4, 1)).isInstanceOf(RegionAccess.Done.class);
    }

    @Test
    void twoBarsChangePlaces() {
        AttachedDevice one = attachWith(1);
        AttachedDevice two = attachWith(2);
        long first = one.barGpa(0).orElseThrow();
        long second = two.barGpa(0).orElseThrow();

        one.config().write(0x10, 8, ELSEWHERE);
        two.config().write(0x10, 8, first);
        one.config().write(0x10, 8, second);

        assertThat(machine.load(second, 8)).isEqualTo(1);
        assertThat(machine.load(first, 8)).isEqualTo(2);
        assertThat(machine.deviceSlots()).hasSize(2);
    }

    @Test
    void anEarlierBarIsSeenAroundALaterSmallerOne() {
        AttachedDevice device = machine.attach();
        long bar = device.barGpa(0).orElseThrow();
        machine.device(0).registers[0] = 0x5a;

        machine.store(device.configGpa() + 0x18, 8, bar + 4 * Page.SIZE + 256);

        // The later BAR has 256 bytes in the middle of page 4 of the earlier one.
        assertThat(machine.load(bar + 4 * Page.SIZE + 256, 1)).isEqualTo(0x5a);
        machine.store(bar + 4 * Page.SIZE, 8, 11);
        machine.store(bar + 4 * Page.SIZE + 512, 8, 12);
        machine.store(bar + 5 * Page.SIZE, 8, 13);
        machine.store(bar + 3 * Page.SIZE, 8, 14);
        PciDriver.Device driver = machine.device(0);
        assertThat(driver.memoryLong(4 * Page.SIZE)).isEqualTo(11);
        assertThat(driver.memoryLong(4 * Page.SIZE + 512)).isEqualTo(12);
        assertThat(driver.memoryLong(5 * Page.SIZE)).isEqualTo(13);
        assertThat(driver.memoryLong(3 * Page.SIZE)).isEqualTo(14);
        assertThat(driver.requests).extracting(MapRequest::page).containsExactly(5L, 3L);
        assertThat(machine.deviceSlots()).hasSize(2);
    }

    @Test
    void anAccessOverTheEndOfASmallBarReachesOnlyWhatIsInIt() {
        AttachedDevice device = machine.attach();
        long registers = device.barGpa(2).orElseThrow();
        machine.device(0).registers[255] = 0x77;

        assertThat(machine.load(registers + 252, 8)).isEqualTo(0xffff_ffff_7700_0000L);
        machine.store(registers + 252, 8, 0x8877_6655_4433_2211L);

        assertThat(Arrays.copyOfRange(machine.device(0).registers, 251, 258))
                .containsExactly(0, 0x11, 0x22, 0x33, 0x44, 0, 0);
    }

    @Test
    void ramAndConfigurationSpaceLieAboveBars() {
        AttachedDevice device = machine.attach();
        machine.store(0x8000, 8, 99);

        // 64 KiB inside RAM, except that address 0 is no address.
        machine.store(device.configGpa() + 0x10, 8, 0x1_0000);
        assertThat(machine.load(0x8000, 8)).isEqualTo(99);
        machine.store(0x1_0000, 8, 5);
        assertThat(machine.device(0).memoryLong(0)).isZero();
        assertThat(machine.deviceSlots()).isEmpty();

        machine.store(device.configGpa() + 0x10, 8, ECAM_GPA);
        assertThat(machine.load(device.configGpa(), 4)).isEqualTo(0x11e9_1234L);
        assertThat(machine.deviceSlots()).isEmpty();
        machine.store(device.configGpa() + 0x10, 8, ELSEWHERE);
        assertThat(machine.load(ELSEWHERE, 8)).isZero();
    }

    @Test
    void anAddressThatIsNoneDecodesNothing() {
        AttachedDevice device = machine.attach();
        for (long none : new long[] {0, -1, 1L << 52, 1L << 63}) {
            device.config().write(0x10, 8, none);
            assertThat(device.barGpa(0)).as("%x", none).isEmpty();
            assertThat(machine.deviceSlots()).isEmpty();
        }
        assertThat(device.config().read(0x10, 8)).isEqualTo(1L << 63 | 0xc);
    }

    @Test
    void aBarOf32BitsIsPutBelow4Gib() {
        machine.driver.regions =
                List.of(
                        RegionInfo.of(0, "narrow", 1 << 16, RegionArea.Kind.TRAPPED)
                                .withBar(new BarInfo(BarInfo.Width.BITS_32, false)));

        AttachedDevice device = machine.attach();

        assertThat(device.barGpa(0)).contains(0x8000_0000L);
        machine.store(0x8000_0010L, 2, 0xbeef);
        assertThat(machine.device(0).events).containsExactly("write 0+16/2=beef");
    }

    @Test
    void anAttachThatFindsNoRoomLeavesTheDeviceAsItWas() {
        machine.driver.regions =
                List.of(
                        RegionInfo.of(0, "half", 1L << 30, RegionArea.Kind.TRAPPED)
                                .withBar(new BarInfo(BarInfo.Width.BITS_32, false)));
        machine.attach();
        Mdev second = machine.create();

        assertErrno(Errno.ENOSPC, () -> machine.vm.attach(second));

        assertThat(second.holder()).isEmpty();
        assertThat(machine.vm.devices()).hasSize(1);
        assertThat(machine.load(ECAM_GPA + (2 << 15), 4)).isEqualTo(0xffff_ffffL);
    }

    @Test
    void aDetachedDeviceIsGoneFromTheBusAndItsNumberAndAddressesAreFree() {
        AttachedDevice device = machine.attach();
        long bar = device.barGpa(0).orElseThrow();
        long config = device.configGpa();

        machine.vm.detach(device.mdev().uuid());

        assertThat(machine.load(config, 4)).isEqualTo(0xffff_ffffL);
        assertThat(machine.answers(bar)).isFalse();
        assertThat(machine.deviceSlots()).isEmpty();
        assertErrno(Errno.ENODEV, () -> machine.vm.detach(device.mdev().uuid()));
        AttachedDevice next = machine.attach();
        assertThat(next.configGpa()).isEqualTo(config);
        assertThat(next.barGpa(0)).contains(bar);
    }

    @Test
    void theSameDeviceHasTheSameContentWhateverItsAreasAre() {
        for (RegionArea.Kind kind : RegionArea.Kind.values()) {
            machine.driver.regions =
                    List.of(RegionInfo.of(0, "memory", Page.bytesOf(PciDriver.PAGES), kind));
            AttachedDevice device = machine.attach();
            PciDriver.Device driver = machine.driver.devices.getLast();
            long bar = device.barGpa(0).orElseThrow();
            int touched = 5;

            ProgramResult result =
                    machine.run(
                            new GuestProgram.Step.Write(
                                    new Span(bar + 24, 8, touched, Page.SIZE), 100, 1),
                            new GuestProgram.Step.Check(
                                    new Span(bar + 24, 8, touched, Page.SIZE), 100, 1));

            assertThat(result.steps()).allMatch(step -> step.mismatches() == 0);
            for (int page = 0; page < touched; page++) {
                assertThat(driver.memoryLong(Page.addressOf(page) + 24))
                        .as("%s page %d", kind, page)
                        .isEqualTo(100 + page);
            }
            long exits = result.steps().stream().mapToLong(StepResult::mmioExits).sum();
            assertThat(exits).isEqualTo(kind == RegionArea.Kind.TRAPPED ? 2 * touched : 0);
            assertThat(device.mdev().faultCount())
                    .isEqualTo(kind == RegionArea.Kind.LAZY ? touched : 0);
            assertThat(driver.requests)
                    .hasSize(
                            switch (kind) {
                                case TRAPPED -> 0;
                                case LAZY -> touched;
                                case EAGER -> PciDriver.PAGES;
                            })
                    .allMatch(request ->
                            request.reason()
                                    == (kind == RegionArea.Kind.EAGER
                                            ? MapRequest.Reason.PREFETCH
                                            : MapRequest.Reason.FIRST_TOUCH));
            assertThat(device.mdev().residentPages()).isEqualTo(driver.requests.size());
        }
    }

    @Test
    void anEagerAreaIsMappedWhenTheGuestTurnsDecodingOn() {
        machine.driver.regions =
                List.of(
                        RegionInfo.of(
                                0, "memory", Page.bytesOf(PciDriver.PAGES), RegionArea.Kind.EAGER));
        AttachedDevice device = machine.vm.attach(machine.create(), BARE);
        assertThat(machine.device(0).requests).isEmpty();

        machine.store(device.configGpa() + 0x10, 8, ELSEWHERE);
        machine.store(device.configGpa() + COMMAND, 1, MEMORY);
        assertThat(device.mdev().residentPages()).isEqualTo(PciDriver.PAGES);
        machine.store(device.configGpa() + COMMAND, 1, 0);
        assertThat(device.mdev().residentPages()).isZero();
        machine.store(device.configGpa() + COMMAND, 1, MEMORY);

        assertThat(device.mdev().residentPages()).isEqualTo(PciDriver.PAGES);
        assertThat(device.mdev().faultCount()).isZero();
    }

    @Test
    void aRomIsSeenWhileItIsEnabledAndIsOnlyRead() {
        machine.driver.regions = List.of(RegionInfo.of(6, "rom", 4096, RegionArea.Kind.TRAPPED));
        AttachedDevice device = machine.attach();
        machine.device(0).registers[0] = 0x55;
        machine.device(0).registers[1] = (byte) 0xaa;
        long config = device.configGpa();
        long gpa = machine.load(config + 0x30, 4);
        assertThat(gpa).isNotZero();
        assertThat(machine.answers(gpa)).isFalse();

        machine.store(config + 0x30, 4, gpa | 1);

        assertThat(machine.load(gpa, 2)).isEqualTo(0xaa55);
        machine.store(gpa, 2, 0);
        assertThat(machine.load(gpa, 2)).isEqualTo(0xaa55);
        machine.store(config + COMMAND, 2, 0);
        assertThat(machine.answers(gpa)).isFalse();
    }
}
