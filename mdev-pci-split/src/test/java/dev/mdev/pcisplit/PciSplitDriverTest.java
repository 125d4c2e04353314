package dev.mdev.pcisplit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.groups.Tuple.tuple;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.ReportLevel;
import dev.mdev.pcisplit.description.Descriptions;
import dev.mdev.pcisplit.function.FakeFunction;
import dev.mdev.testkit.FaultInjector;
import dev.mdev.testkit.InMemoryHost;
import dev.mdev.testkit.InMemoryParent;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

class PciSplitDriverTest {
    private @TempDir Path root;
    private FakeFunction card;
    private Path folder;

    @BeforeEach
    void plugIn() throws IOException {
        card = newCard(FakeFunction.ADDRESS);
        folder = Files.createDirectory(root.resolve("descriptions"));
        describe("card.yaml", Descriptions.CARD);
    }

    private FakeFunction newCard(String address) {
        return new FakeFunction(root, address)
                .memory(0, 0xf000_0000L, 1 << 20)
                .memory(1, 0x38_0000_0000L, 16 << 20);
    }

    private void describe(String file, String text) throws IOException {
        Files.writeString(folder.resolve(file), text);
    }

    private PciSplitDriver newDriver() {
        return new PciSplitDriver(card.sysfs(), card.proc(), card.dev());
    }

    private InMemoryHost probe() {
        return new InMemoryHost(newDriver(), Map.of("dir", folder.toString()));
    }

    @Test
    void aParentIsWhatItsDescriptionSays() {
        try (InMemoryHost host = probe()) {
            InMemoryParent parent = host.parent();
            assertThat(host.reports()).isEmpty();
            assertThat(parent.name()).isEqualTo("card0");
            assertThat(parent.device().description()).isEqualTo("A card for tests");
            assertThat(parent.device().types())
                    .extracting(MdevType::id, MdevType::maxInstances)
                    .containsExactly(tuple("small", 8), tuple("large", 3));
            assertThat(parent.device().pools())
                    .extracting(pool -> pool.name() + " " + pool.holdsContent())
                    .containsExactly("vram true", "doorbells false");
            assertThat(card.text("enable")).as("its memory is decoded").isEqualTo("1\n");
        }
    }

    @Test
    void withoutAFolderThereAreNoParents() {
        try (InMemoryHost host = new InMemoryHost(newDriver(), Map.of())) {
            assertThat(host.parents()).isEmpty();
        }
    }

    @Test
    void aFolderThatIsMissingIsTheDriversTrouble() {
        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(() -> new InMemoryHost(newDriver(), Map.of("dir", root + "/none")))
                .withMessageContaining("there is no folder");
    }

    @Test
    void badDescriptionsAreReportedAndTheOthersAreShared() throws IOException {
        FakeFunction broken = newCard("0000:66:00.0").bind("nvidia");
        describe("a.yaml", "pools: [\n");
        describe("b.yaml", Descriptions.CARD.replace("0000:65", "0000:66").replace("card0", "b"));
        describe("c.yaml", Descriptions.CARD.replace("0000:65", "0000:67").replace("card0", "c"));
        describe("d.yaml", Descriptions.CARD.replace("card0", "d"));
        describe("e.yaml", Descriptions.CARD.replace("0000:65", "0000:68"));
        describe("notes.txt", "not a description");
        try (InMemoryHost host = probe()) {
            assertThat(host.parent().name()).isEqualTo("card0");
            assertThat(host.reports())
                    .satisfiesExactly(
                            report -> assertThat(report).startsWith("a.yaml: no YAML: line 2"),
                            report ->
                                    assertThat(report)
                                            .startsWith("b.yaml: the kernel's driver nvidia has"),
                            report ->
                                    assertThat(report)
                                            .isEqualTo("c.yaml: there is no function 0000:67:00.0"),
                            report ->
                                    assertThat(report)
                                            .isEqualTo(
                                                    "d.yaml: another description has the function"
                                                            + " 0000:65:00.0"),
                            report ->
                                    assertThat(report)
                                            .isEqualTo(
                                                    "e.yaml: another description has the name"
                                                            + " card0"));
            assertThat(broken.text("enable")).as("nothing is half done").isEqualTo("0\n");
        }
    }

    /// Else two parents would hand out the same pages.
    @Test
    void aFunctionUnderAnotherNameIsSharedWhenItsFormerParentIsClosed() throws IOException {
        PciSplitDriver driver = newDriver();
        Map<String, String> settings = Map.of("dir", folder.toString());
        try (InMemoryHost host = new InMemoryHost(driver, settings)) {
            assertThat(host.parent().name()).isEqualTo("card0");
            describe("card.yaml", Descriptions.CARD.replace("card0", "card1"));
            try (InMemoryHost again = new InMemoryHost(driver, settings)) {
                assertThat(again.parents()).isEmpty();
                assertThat(again.reports())
                        .containsExactly(
                                "card.yaml: function 0000:65:00.0 is shared as parent=card0:"
                                        + " remove that first");
            }
        }
        try (InMemoryHost later = new InMemoryHost(driver, settings)) {
            assertThat(later.reports()).isEmpty();
            assertThat(later.parent().name()).isEqualTo("card1");
        }
    }

    @Test
    void aHostThatCannotMapTheFilesIsReported() {
        try (InMemoryHost host =
                new InMemoryHost(
                        newDriver(),
                        InMemoryHost.Options.standard()
                                .withSettings(Map.of("dir", folder.toString())),
                        faults -> faults.arm(FaultInjector.Site.ALLOCATE, 1000))) {
            assertThat(host.parents()).isEmpty();
            assertThat(host.reports()).singleElement().asString().startsWith("card.yaml: ");
        }
    }

    @Test
    void aFunctionWithAStubIsEnabledByItsCommandRegister() throws IOException {
        card.bind("pci-stub");
        describe("card.yaml", Descriptions.CARD + "stub: pci-stub\n");
        try (InMemoryHost host = probe()) {
            assertThat(host.reports()).isEmpty();
            assertThat(Files.readAllBytes(card.file("config"))[4]).isEqualTo((byte) 2);
            assertThat(card.text("enable")).isEqualTo("0\n");
        }
    }

    @Test
    void theOperatorIsToldOfAFunctionThatIsGoneAlsoIfItHasNoDevices() {
        try (InMemoryHost host = probe()) {
            card.unplug();
            InterruptWatchTest.await(() -> !host.parentReports().isEmpty());
            assertThat(host.parentReports())
                    .singleElement()
                    .satisfies(report -> {
                        assertThat(report.parent()).isEqualTo("card0");
                        assertThat(report.level()).isEqualTo(ReportLevel.ERROR);
                        assertThat(report.text())
                                .contains("function 0000:65:00.0 is gone: it left the bus");
                    });
        }
    }

    @Test
    void noDeviceIsMadeOfAFunctionThatIsGone() {
        try (InMemoryHost host = probe()) {
            card.unplug();
            assertThatExceptionOfType(MdevException.class)
                    .isThrownBy(() -> host.parent().create("small"))
                    .satisfies(e -> assertThat(e.errno()).isEqualTo(Errno.ENODEV))
                    .withMessageContaining("it left the bus");
        }
    }
}
