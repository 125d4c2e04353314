package dev.mdev.core.vm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.mdev.api.PciOptions;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Page;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;

/// The output of the Linux pciutils' `lspci` for a function: an independent reading of the same
/// specification.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class LspciTest {
    private final PciMachine machine = new PciMachine();

    @TempDir Path directory;

    @AfterEach
    void stop() {
        machine.close();
    }

    @Test
    void itDecodesEveryCapabilityOfAConventionalFunction() throws Exception {
        machine.driver.regions =
                List.of(
                        RegionInfo.of(0, "memory", Page.bytesOf(16), RegionArea.Kind.LAZY),
                        RegionInfo.of(2, "registers", 256, RegionArea.Kind.TRAPPED),
                        RegionInfo.of(RegionInfo.ROM, "rom", 1 << 16, RegionArea.Kind.TRAPPED));
        machine.driver.options =
                new PciOptions(false, java.util.Optional.empty(), List.of(0xca, 0xfe));
        AttachedDevice device = machine.attach();
        device.enableMessages();
        machine.device(0).context.interrupts().setLine(true);

        String text = lspci(device);

        assertThat(text)
                .contains("00:01.0", "[0380]", "[1234:11e9] (rev 02)", "Subsystem:", "[1af4:1100]")
                .contains("Control: I/O- Mem+ BusMaster+")
                .contains("Status: Cap+ ", "INTx+")
                .contains("Interrupt: pin A routed to IRQ 0")
                .contains("Region 0: Memory at 10000000000 (64-bit, prefetchable)")
                .contains("Region 2: Memory at 10000010000 (64-bit, non-prefetchable)")
                .contains("Region 4: Memory at 10000011000 (64-bit, non-prefetchable)")
                .contains("Expansion ROM at 80000000 [disabled]")
                .contains("Capabilities: [40] Power Management version 3")
                .contains("Status: D0 NoSoftRst- PME-Enable-")
                .contains("Capabilities: [48] MSI: Enable- Count=1/4 Maskable+ 64bit+")
                .contains("Capabilities: [60] MSI-X: Enable+ Count=8 Masked-")
                .contains("Vector table: BAR=4 offset=00000000")
                .contains("PBA: BAR=4 offset=00000800")
                .contains("Capabilities: [6c] PCI Advanced Features")
                .contains("AFCap: TP+ FLR+")
                .contains("Capabilities: [74] Vendor Specific Information: Len=05");
        assertClean(text);
    }

    @Test
    void itDecodesAPciExpressFunction() throws Exception {
        machine.driver.options = PciOptions.EXPRESS;
        AttachedDevice device = machine.attach();

        String text = lspci(device);

        assertThat(text)
                .contains("Express (v2) Endpoint, MSI 00")
                .contains("FLReset+")
                .contains("LnkSta:", "Speed 2.5GT/s", "Width x1");
        assertClean(text);
        assertThat(device.config().dump().lines()).hasSize(1 + 256 + 1);
    }

    private String lspci(AttachedDevice device) throws IOException, InterruptedException {
        Path file = directory.resolve("dump");
        Files.writeString(file, device.config().dump());
        Process process;
        try {
            process =
                    new ProcessBuilder("lspci", "-F", file.toString(), "-vvnn")
                            .redirectError(ProcessBuilder.Redirect.DISCARD)
                            .start();
        } catch (IOException e) {
            assumeTrue(false, "lspci (package pciutils) is not installed: " + e.getMessage());
            throw e;
        }
        String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor(Deadlines.HANG_SECONDS, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).as(text).isZero();
        return text;
    }

    /// Nothing that lspci could not make sense of.
    private static void assertClean(String text) {
        assertThat(text)
                .doesNotContain("!!!", "<access denied>", "<chain looped>", "<chain broken>")
                .doesNotContain("#00", "lspci:", "Unknown", "unknown", "virtual");
    }
}
