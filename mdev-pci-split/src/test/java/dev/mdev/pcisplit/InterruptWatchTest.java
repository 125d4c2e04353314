package dev.mdev.pcisplit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Interrupts;
import dev.mdev.api.IrqInfo;
import dev.mdev.api.ReportLevel;
import dev.mdev.gate.Deadlines;
import dev.mdev.pcisplit.description.Descriptions;
import dev.mdev.pcisplit.function.FakeFunction;
import dev.mdev.testkit.FaultInjector;
import dev.mdev.testkit.InMemoryHost;
import dev.mdev.testkit.InMemoryMdev;
import dev.mdev.testkit.RecordedInterrupts;
import dev.mdev.testkit.SparseAperture;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;

/// Interrupts by a register that the driver looks at.
@EnabledOnOs(value = OS.LINUX, disabledReason = "named pipes")
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class InterruptWatchTest {
    /// In the aperture: after the pools and the page of passed registers.
    private static final long STATUS = (12 << 20) + 0x8000 + 0x1000;

    private static final String SOURCE = "      - {status: {bar: 0, offset: 0x3000}, bits: 0x3}\n";

    private @TempDir Path root;

    @SuppressWarnings("NullAway.Init")
    private InMemoryHost host;

    @AfterEach
    void close() {
        host.close();
    }

    private FakeFunction newCard() {
        return new FakeFunction(root)
                .memory(0, 0xf000_0000L, 1 << 20)
                .memory(1, 0x38_0000_0000L, 16 << 20);
    }

    private InMemoryMdev create(String description) throws IOException {
        return create(newCard(), description);
    }

    private InMemoryMdev create(FakeFunction card, String description) throws IOException {
        Path folder = Files.createDirectory(root.resolve("descriptions"));
        Files.writeString(folder.resolve("card.yaml"), description);
        host =
                new InMemoryHost(
                        new PciSplitDriver(card.sysfs(), card.proc(), card.dev()),
                        Map.of("dir", folder.toString()));
        assertThat(host.reports()).isEmpty();
        return host.parent().create("small");
    }

    private SparseAperture aperture() {
        return host.parent().aperture();
    }

    static void await(BooleanSupplier condition) {
        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        while (!condition.getAsBoolean()) {
            assertThat(System.nanoTime() - end).as("it never came").isNegative();
            Thread.onSpinWait();
        }
    }

    /// Each look asks once or twice, so after four questions one has begun and ended.
    private static void awaitALook(RecordedInterrupts interrupts) {
        long before = interrupts.questions();
        await(() -> interrupts.questions() > before + 4);
    }

    @Test
    void aBitThatAppearsIsAMessageAndOthersAreNone() throws Exception {
        InMemoryMdev mdev = create(Descriptions.CARD);
        RecordedInterrupts interrupts = mdev.interrupts();
        assertThat(mdev.irqs()).isEqualTo(new IrqInfo(true, 1, 0));
        aperture().store(STATUS, 4, 0x4);
        awaitALook(interrupts);
        assertThat(interrupts.count(0)).as("not one of its bits").isZero();

        aperture().store(STATUS, 4, 0x1);

        interrupts.await(0, 1, Deadlines.HANG);
        await(interrupts::line);
        assertThat(aperture().load(STATUS, 4)).as("the guest clears it").isEqualTo(1);
        aperture().store(STATUS, 4, 0);
        await(() -> !interrupts.line());
        long before = interrupts.count(0);
        aperture().store(STATUS, 4, 0x2);
        interrupts.await(0, before + 1, Deadlines.HANG);
        mdev.close();
    }

    /// It may have gone and come between two looks.
    @Test
    void theMessageOfABitThatStaysIsRepeated() throws Exception {
        InMemoryMdev mdev = create(Descriptions.CARD);

        aperture().store(STATUS, 4, 0x1);

        mdev.interrupts().await(0, 3, Deadlines.HANG);
        mdev.close();
    }

    @Test
    void bitsThatTheDriverClearsAreSeenOnceAndMakeNoLine() throws Exception {
        String one = Descriptions.CARD.substring(0, Descriptions.CARD.indexOf("  large:"));
        InMemoryMdev mdev =
                create(
                        one.replace("name: A small part", "most: 1")
                                .replace(
                                        SOURCE.strip(),
                                        SOURCE.strip()
                                                .replace(
                                                        "bits: 0x3}",
                                                        "bits: 0x3, clear: {bar: 0, offset:"
                                                                + " 0x3010}}")));
        assertThat(mdev.irqs()).isEqualTo(new IrqInfo(false, 1, 0));

        aperture().store(STATUS, 4, 0x7);

        mdev.interrupts().await(0, 1, Deadlines.HANG);
        assertThat(aperture().load(STATUS + 0x10, 4)).isEqualTo(0x3);
        mdev.close();
    }

    @Test
    void aGuestThatListensToNothingMissesNothingThatTheDriverWouldClear() throws Exception {
        String one = Descriptions.CARD.substring(0, Descriptions.CARD.indexOf("  large:"));
        InMemoryMdev mdev =
                create(
                        one.replace("name: A small part", "most: 1")
                                .replace("bits: 0x3}", "clear: {bar: 0, offset: 0x3010}}"));
        mdev.interrupts().enable(null);
        // The look that has begun may still count on a guest that listens.
        awaitALook(mdev.interrupts());
        aperture().store(STATUS, 4, 0x1);
        awaitALook(mdev.interrupts());
        assertThat(aperture().load(STATUS + 0x10, 4)).isZero();

        mdev.interrupts().enable(Interrupts.Kind.MSI);

        mdev.interrupts().await(0, 1, Deadlines.HANG);
        mdev.close();
    }

    @Test
    void eachSourceHasAVector() throws Exception {
        InMemoryMdev mdev =
                create(
                        Descriptions.CARD.replace(
                                SOURCE,
                                SOURCE
                                        + SOURCE.replace("0x3000", "0x3004")
                                        + SOURCE.replace("0x3000", "0x3008")));
        assertThat(mdev.irqs()).isEqualTo(new IrqInfo(true, 4, 0));

        aperture().store(STATUS + 8, 4, 1);

        mdev.interrupts().await(2, 1, Deadlines.HANG);
        assertThat(List.of(mdev.interrupts().count(0), mdev.interrupts().count(1)))
                .containsOnly(0L);
        mdev.close();
    }

    @Test
    void theFunctionsOwnInterruptsWakeTheDriverWhichDoesNotLookInBetween() throws Exception {
        FakeFunction card = newCard().bindUio();
        InMemoryMdev mdev = create(card, Descriptions.CARD + "stub: uio_pci_generic\n");
        RecordedInterrupts interrupts = mdev.interrupts();
        await(card::isUnmasked);
        long questions = interrupts.questions();
        aperture().store(STATUS, 4, 0x1);
        assertThat(interrupts.count(0)).isZero();
        assertThat(interrupts.questions()).as("nobody looks").isEqualTo(questions);

        card.interrupt();

        interrupts.await(0, 1, Deadlines.HANG);
        await(interrupts::line);
        assertThat(card.isUnmasked()).as("it would come again at once").isFalse();
        aperture().store(STATUS, 4, 0);
        await(card::isUnmasked);
        assertThat(interrupts.line()).isFalse();
        long before = interrupts.count(0);
        aperture().store(STATUS, 4, 0x2);
        card.interrupt();
        interrupts.await(0, before + 1, Deadlines.HANG);
        assertThat(mdev.device().counters()).containsEntry("function_interrupts", 2L);
        mdev.close();
    }

    @Test
    void aFunctionThatCannotInterruptAnyMoreIsLookedAt() throws Exception {
        FakeFunction card = newCard().bindUio();
        InMemoryMdev mdev = create(card, Descriptions.CARD + "stub: uio_pci_generic\n");
        await(card::isUnmasked);

        card.breakLine();
        aperture().store(STATUS, 4, 0x1);

        mdev.interrupts().await(0, 1, Deadlines.HANG);
        await(() -> !host.parentReports().isEmpty());
        assertThat(host.parentReports())
                .singleElement()
                .satisfies(report -> {
                    assertThat(report.parent()).isEqualTo("card0");
                    assertThat(report.level()).isEqualTo(ReportLevel.WARNING);
                    assertThat(report.text())
                            .contains("0000:65:00.0 interrupts no more", "no interrupts come from");
                });
        mdev.close();
    }

    @Test
    void aRegisterThatCannotBeReadIsTheLastLookAndTheOperatorIsTold() throws Exception {
        InMemoryMdev mdev = create(Descriptions.CARD);
        awaitALook(mdev.interrupts());

        host.faults().arm(FaultInjector.Site.APERTURE_READ, 1000);

        await(() -> mdev.lastReport().isPresent());
        assertThat(mdev.lastReport().orElseThrow()).contains("no interrupts any more: ");
        host.faults().disarm();
        mdev.close();
    }

    /// An interrupt would come at once, again and again, as long as nobody takes care of it.
    @Test
    void theLineStaysMaskedWhileNoGuestListens() throws Exception {
        FakeFunction card = newCard().bindUio();
        InMemoryMdev mdev = create(card, Descriptions.CARD + "stub: uio_pci_generic\n");
        await(card::isUnmasked);
        mdev.interrupts().enable(null);
        aperture().store(STATUS, 4, 0x1);
        card.interrupt();
        awaitALook(mdev.interrupts());
        assertThat(card.isUnmasked()).isFalse();

        mdev.interrupts().enable(Interrupts.Kind.MSI);

        mdev.interrupts().await(0, 1, Deadlines.HANG);
        mdev.close();
    }
}
