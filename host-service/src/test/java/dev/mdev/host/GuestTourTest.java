package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.US_ASCII;

import dev.mdev.gate.Deadlines;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable;
import org.junit.jupiter.api.io.TempDir;

import java.awt.image.BufferedImage;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import javax.imageio.ImageIO;

/// Runs the commands of the README's tour with a real virtual machine, on the host and in the
/// guest, and looks at the guest's screen. Only the port, the folder of sockets, and QEMU's folder
/// are this test's.
@Tag("slow")
@EnabledIfEnvironmentVariable(
        named = QemuGuest.FOLDER,
        matches = ".+",
        disabledReason = QemuGuest.NO_FOLDER)
class GuestTourTest {
    private static final String HEADING = "A real VM in five minutes";
    private static final String SOCKETS = "/tmp/mdev";
    private static final String SCREEN = "/tmp/screen.png";
    private static final String QEMU = "$dir/qemu ";
    private static final Pattern IMAGE = Pattern.compile("!\\[[^]]*]\\(([^)]+)\\)");

    /// A line of the guest's console.
    private static final int TEXT_LINE_PIXELS = 16;

    private static final int TEXT_LINES = 30;

    @TempDir Path folder;

    /// Commands that set variables, for all that follow.
    private final List<String> variables = new ArrayList<>();

    private ServiceProcess service;
    private @Nullable Process guest;

    @BeforeEach
    void start() throws Exception {
        ReadmeTour.assumeCommands();
        service = ServiceProcess.start(folder, "--mdev.socket-dir=" + sockets());
    }

    @AfterEach
    void stop() throws Exception {
        if (guest != null) {
            guest.destroyForcibly().waitFor();
        }
        if (service != null) {
            service.stop();
            service.close();
        }
    }

    private Path sockets() {
        return folder.resolve("sockets");
    }

    @Test
    void theTourEndsWithTheScreenThatTheReadmeShows() throws Exception {
        List<List<String>> blocks = ReadmeTour.blocks(HEADING);
        assertThat(blocks).hasSizeGreaterThan(4);
        for (List<String> block : blocks) {
            if (block.getFirst().startsWith("$ ")) {
                for (ReadmeTour.Step step : ReadmeTour.steps(block)) {
                    runOnHost(step);
                }
            } else {
                runInGuest(block);
            }
        }
        assertThat(running().waitFor(Deadlines.HANG_SECONDS, TimeUnit.SECONDS)).isTrue();
        assertThat(running().exitValue()).isZero();
        BufferedImage shown = ImageIO.read(ReadmeTour.README.resolveSibling(firstImage()).toFile());
        assertThat(shown.getWidth()).isEqualTo(1024);
        assertThat(shown.getHeight()).isEqualTo(768);
        assertThat(linesOfText(shown)).isGreaterThan(TEXT_LINES);
    }

    private static String firstImage() throws Exception {
        Matcher image = IMAGE.matcher(Files.readString(ReadmeTour.README));
        assertThat(image.find()).isTrue();
        return image.group(1);
    }

    private void runOnHost(ReadmeTour.Step step) throws Exception {
        if (step.command().startsWith(QEMU)) {
            startGuest(step);
            return;
        }
        if (step.command().contains(SCREEN)) {
            awaitScreen();
        }
        String printed = ReadmeTour.run(withVariables(step.command()));
        assertThat(withoutWhatVaries(printed))
                .as(step.command())
                .isEqualTo(withoutWhatVaries(here(step.output())));
        if (step.command().matches("[a-z]+=.*")) {
            variables.add(step.command());
        }
    }

    /// A command, or its output, in the place of this test.
    private String here(String text) {
        return text.replace("127.0.0.1:8080", "127.0.0.1:" + service.port())
                .replace(SOCKETS, sockets().toString())
                .replace(SCREEN, folder.resolve("screen.png").toString())
                .replace("$(.ci/qemu)", System.getenv(QemuGuest.FOLDER));
    }

    private String withVariables(String command) {
        List<String> all = new ArrayList<>(variables);
        all.replaceAll(this::here);
        all.add(here(command));
        return String.join("\n", all);
    }

    private static String withoutWhatVaries(String printed) {
        return ReadmeTour.withoutWhatVaries(printed)
                .replaceAll("\"(residentPages|residentBefore|residentAfter)\":[0-9]+", "\"$1\":0");
    }

    private void startGuest(ReadmeTour.Step step) throws Exception {
        // It ends by itself if this process is killed.
        guest =
                new ProcessBuilder(
                                "setpriv",
                                "--pdeathsig",
                                "KILL",
                                "bash",
                                "-c",
                                withVariables("exec " + step.command()))
                        .redirectError(folder.resolve("qemu.log").toFile())
                        .start();
        awaitLine(step.output());
    }

    private Process running() {
        return Objects.requireNonNull(guest, "the guest runs");
    }

    private void runInGuest(List<String> block) throws Exception {
        for (String line : block) {
            if (line.startsWith("#")) {
                awaitLine(line);
            } else {
                running().getOutputStream().write((line + "\n").getBytes(US_ASCII));
                running().getOutputStream().flush();
            }
        }
    }

    private void awaitLine(String expected) throws Exception {
        BufferedReader output = running().inputReader(ISO_8859_1);
        StringBuilder text = new StringBuilder();
        for (String line = output.readLine(); line != null; line = output.readLine()) {
            if (line.strip().equals(expected)) {
                return;
            }
            text.append(line).append('\n');
        }
        throw new AssertionError(
                "QEMU ended%n%s%n%s".formatted(text, Files.readString(folder.resolve("qemu.log"))));
    }

    /// Linux draws in a thread of its own, which may still be at it.
    private void awaitScreen() throws Exception {
        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        String mdev = ReadmeTour.run(withVariables("echo $id"));
        int lines;
        do {
            var response = service.api().bytes("/api/v1/mdevs/%s/picture".formatted(mdev));
            assertThat(response.statusCode()).isEqualTo(200);
            lines = linesOfText(ImageIO.read(new ByteArrayInputStream(response.body())));
        } while (lines <= TEXT_LINES && System.nanoTime() - end < 0);
        assertThat(lines).as("lines of text on the guest's screen").isGreaterThan(TEXT_LINES);
    }

    private static int linesOfText(BufferedImage image) {
        int lines = 0;
        for (int y = 0; y + TEXT_LINE_PIXELS <= image.getHeight(); y += TEXT_LINE_PIXELS) {
            int[] line =
                    image.getRGB(
                            0, y, image.getWidth(), TEXT_LINE_PIXELS, null, 0, image.getWidth());
            int bright = 0;
            for (int pixel : line) {
                bright += (pixel & 0xFF) > 0x40 ? 1 : 0;
            }
            // Text is neither an empty line nor a bar.
            lines += bright > 0 && bright < line.length / 2 ? 1 : 0;
        }
        return lines;
    }
}
