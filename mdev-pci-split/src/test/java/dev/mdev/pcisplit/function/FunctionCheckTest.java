package dev.mdev.pcisplit.function;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.pcisplit.description.Descriptions;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.nio.file.Files;
import java.nio.file.Path;

/// The check names each obstacle to sharing a function, and the programs that hold it.
class FunctionCheckTest {
    private @TempDir Path root;
    private FakeFunction card;

    @BeforeEach
    void plugIn() {
        card =
                new FakeFunction(root)
                        .memory(0, 0xf000_0000L, 1 << 20)
                        .memory(1, 0x38_0000_0000L, 16 << 20);
    }

    private String mistakes() {
        return mistakes(Descriptions.CARD);
    }

    private String mistakes(String description) {
        return FunctionCheck.of(Descriptions.parse(description), card.function(), card.proc())
                .toString();
    }

    @Test
    void aFunctionThatHasEverythingCanBeShared() {
        assertThat(mistakes()).isEmpty();
        assertThat(card.text("enable")).as("looking changes nothing").isEqualTo("0\n");
    }

    @Test
    void aFunctionThatIsNotThereIsNamed() {
        card.unplug();
        assertThat(mistakes()).isEqualTo("there is no function 0000:65:00.0");
    }

    @Test
    void anotherFunctionIsNotShared() {
        card.write("device", "0x9999\n");
        assertThat(mistakes()).isEqualTo("the function is 10de:9999, and not 10de:2330");
    }

    @Test
    void aDriverThatIsNotTheStubHasTheFunction() {
        card.bind("nvidia");
        assertThat(mistakes()).contains("the kernel's driver nvidia has the function: unbind it");
        assertThat(mistakes(Descriptions.CARD + "stub: vfio-pci\n"))
                .contains("the kernel's driver nvidia has the function");
        assertThat(mistakes(Descriptions.CARD + "stub: nvidia\n")).isEmpty();
    }

    @Test
    void processesThatHaveTheFunctionAreNamed() throws Exception {
        card.link("iommu_group", "../../../../kernel/iommu_groups/17");
        card.open(4711, "qemu-system-x86", Path.of("/dev/vfio/17"));
        card.open(4712, "Xorg", card.file("resource1").toRealPath());
        card.open(4713, "bash", Path.of("/dev/vfio/18"));
        assertThat(mistakes())
                .isEqualTo("processes have the function open: [Xorg[4712], qemu-system-x86[4711]]");
    }

    /// A VMM of today opens the function's own file, and no group.
    @Test
    void aProgramThatHasTheFunctionsOwnFileOfVfioIsNamed() throws Exception {
        card.bind("vfio-pci");
        Files.createDirectories(card.file("vfio-dev").resolve("vfio3"));
        card.open(4711, "qemu-system-x86", Path.of("/dev/vfio/devices/vfio3"));
        card.open(4712, "bash", Path.of("/dev/vfio/devices/vfio4"));

        assertThat(mistakes(Descriptions.CARD + "stub: vfio-pci\n"))
                .isEqualTo("processes have the function open: [qemu-system-x86[4711]]");
    }

    @Test
    void theBootDisplayIsSharedOnlyByForce() {
        card.write("boot_vga", "1\n");
        assertThat(mistakes()).contains("the function is the host's display");
        assertThat(mistakes(Descriptions.CARD + "force: true\n")).isEmpty();
        card.write("boot_vga", "0\n");
        assertThat(mistakes()).isEmpty();
    }

    /// Of a display that is no VGA controller, the kernel's console tells.
    @Test
    void aFunctionThatTheKernelDrawsIntoIsSharedOnlyByForce() throws Exception {
        Path console = Files.createDirectory(card.file("simple-framebuffer.0"));
        assertThat(mistakes()).contains("the function is the host's display");
        assertThat(mistakes(Descriptions.CARD + "force: true\n")).isEmpty();
        Files.delete(console);
        assertThat(mistakes()).isEmpty();
    }

    @Test
    void aFunctionThatReadsAsAllOnesIsNotShared() {
        card.silence();
        assertThat(mistakes()).contains("it reads as all ones");
    }

    @Test
    void barsThatAreMissingOrNoMemoryOrTooSmallAreNamed() {
        assertThat(mistakes(Descriptions.CARD.replace("bar: 1,", "bar: 3,")))
                .isEqualTo("pool vram: the function has no BAR 3");
        card.ports(3);
        assertThat(mistakes(Descriptions.CARD.replace("bar: 1,", "bar: 3,")))
                .isEqualTo("pool vram: BAR 3 is I/O ports");
        assertThat(mistakes(Descriptions.CARD.replace("size: 12MiB", "size: 16MiB")))
                .isEqualTo(
                        "pool vram: 0x100000 to 0x1100000 is outside BAR 1, which has 0x1000000"
                                + " bytes");
        assertThat(
                        mistakes(
                                Descriptions.CARD
                                        .replace("offset: 0x1000}", "offset: 0x200000}")
                                        .replace("offset: 0x2040", "offset: 0x300000")))
                .contains("a page of registers of type small: 0x200000")
                .contains("the reset of type small: 0x300000");
        card.memory(4, 0xf000_0400L, 0x400);
        assertThat(mistakes(Descriptions.CARD.replace("bar: 1,", "bar: 4,")))
                .contains("BAR 4 begins inside a page, which others share");
    }

    @Test
    void theTablesOfInterruptsAreNobodys() {
        card.msix(0, 0x14000, 8);
        assertThat(mistakes())
                .contains("pool doorbells has the function's MSI-X table in it")
                .contains("pool doorbells has the function's MSI-X pending bits in it");
        card.msix(0, 0x1000, 2);
        assertThat(mistakes())
                .contains("a page of registers of type small has the function's MSI-X table in it");
        card.msix(0, 0x4000, 8);
        assertThat(mistakes()).isEmpty();
    }

    @Test
    void filesThatAreMissingOrMakeNoSenseAreNamed() {
        card.delete("resource1_wc");
        assertThat(mistakes()).isEqualTo("pool vram: there is no file resource1_wc");
        card.write("resource", "0x0 0x0\n");
        assertThat(mistakes()).contains("file resource makes no sense");
        card.delete("resource");
        assertThat(mistakes()).contains("has no regular file resource");
        card.write("vendor", "gpu\n");
        assertThat(mistakes()).contains("file vendor makes no sense");
        card.write("vendor", "");
        assertThat(mistakes()).contains("file vendor makes no sense");
        card.write("vendor", "0x1234567\n");
        assertThat(mistakes()).contains("file vendor makes no sense");
    }

    @ParameterizedTest
    @ValueSource(strings = {"vendor", "resource", "config", "resource0"})
    void aFileThatWouldBlockForEverIsNamedAndNotOpened(String name) throws Exception {
        card.delete(name);
        int code =
                new ProcessBuilder("mkfifo", card.file(name).toString())
                        .inheritIO()
                        .start()
                        .waitFor();
        assertThat(code).isZero();

        assertThat(mistakes()).contains("no ", "file " + name);
    }

    @Test
    void aResetOfTheFunctionNeedsTheKernelsReset() {
        String one =
                Descriptions.CARD
                        .substring(0, Descriptions.CARD.indexOf("  large:"))
                        .replace("name: A small part", "most: 1")
                        .replace("    reset:\n", "    reset:\n      function: true\n");
        assertThat(mistakes(one)).isEmpty();
        card.delete("reset");
        assertThat(mistakes(one))
                .isEqualTo("type small resets the function, which has no file reset");
    }
}
