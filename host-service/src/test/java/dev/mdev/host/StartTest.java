package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import tools.jackson.databind.json.JsonMapper;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/// The start of the service, what it says there, and its end.
@Tag("slow")
class StartTest {
    @TempDir private Path folder = Path.of("");

    @ParameterizedTest
    @CsvSource({
        "--mdev.machines.max-machines=-1,  mdev.machines.max-machines=-1 is out of range",
        "--mdev.driver-deadline=0s,        mdev.driver-deadline=PT0S is out of range",
        "--mdev.machines.max-machine=3,    there is no setting mdev.machines.max-machine",
        "--mdev.stat-dir=x --mdev.x.y=1,   'there is no setting mdev.stat-dir, mdev.x.y'",
        "'--mdev.require-parents=gpu0,a/b',  'mdev.require-parents=[gpu0, a/b] is out of range'",
        "--mdev.engine=vax,                vax",
    })
    void aWrongSettingStopsTheStartWithOneParagraph(String options, String words) {
        assertThatThrownBy(() -> ServiceProcess.start(folder, options.split(" ")).close())
                .isInstanceOf(AssertionError.class)
                .hasMessageContaining("APPLICATION FAILED TO START")
                .hasMessageContaining(words)
                .satisfies(StartTest::isWithoutStack);
    }

    private static void isWithoutStack(Throwable e) {
        String text = String.valueOf(e.getMessage());
        assertThat(text.substring(text.indexOf("APPLICATION FAILED"))).doesNotContain("\tat ");
    }

    @Test
    void aStateDirectoryInUseStopsTheStartWithOneParagraph() throws Exception {
        try (ServiceProcess _ = ServiceProcess.start(folder)) {
            assertThatThrownBy(() -> ServiceProcess.start(folder).close())
                    .isInstanceOf(AssertionError.class)
                    .hasMessageContaining("APPLICATION FAILED TO START")
                    .hasMessageContaining("Stop the process that uses it")
                    .satisfies(StartTest::isWithoutStack);
        }
    }

    @Test
    void theLogSaysInOneLineWhatHasStarted() throws Exception {
        try (ServiceProcess _ = ServiceProcess.start(folder, "--mdev.engine=software")) {
            assertThat(Files.readAllLines(log()))
                    .anyMatch(line ->
                            line.contains("is ready: engine=software")
                                    && line.contains("state in " + folder.resolve("state"))
                                    && line.contains("at 127.0.0.1:"));
        }
    }

    @Test
    void wordsAreTheSameInTurkish() throws Exception {
        try (ServiceProcess service =
                ServiceProcess.start(folder, "-Duser.language=tr", "-Duser.country=TR")) {
            service.api().createMachine("vm1");
            Answer answer =
                    service.api()
                            .run(
                                    "vm1",
                                    "{\"steps\":[{\"op\":\"write\",\"at\":{\"gpa\":0},\"width\":4}]}");

            answer.requireStatus(200);
            assertThat(answer.at("/end")).isEqualTo("completed");
            assertThat(service.api().namesOf("/api/v1/events", "/kind"))
                    .contains("machine_created", "parent_arrived");
        }
    }

    @Test
    void textOfAClientStartsNoLineOfTheLog() throws Exception {
        try (ServiceProcess service = ServiceProcess.start(folder)) {
            service.api().post("/api/v1/machines", "{\"name\":\"x\\n2026 FORGED\\u0007\"}");
            service.api().get("/api/v1/mdevs/x%0a2026%20FORGED");
            service.api().delete("/api/v1/parents/gpu%0a2026%20FORGED%07");
        }
        assertThat(Files.readAllLines(log()))
                .noneMatch(line -> line.startsWith("2026 FORGED"))
                .noneMatch(line -> line.indexOf('\u0007') >= 0);
    }

    @Test
    void theLogCanBeJson() throws Exception {
        try (ServiceProcess service =
                ServiceProcess.start(
                        folder,
                        "--logging.config=classpath:logback-json.xml",
                        "--logging.structured.format.console=ecs")) {
            service.api().delete("/api/v1/parents/gpu%0a2026%20FORGED%07");
        }
        assertThat(Files.readAllLines(log()))
                .noneMatch(line -> line.startsWith("2026 FORGED"))
                .filteredOn(line -> line.startsWith("{"))
                .extracting(line -> JsonMapper.shared().readTree(line).at("/message").asString(""))
                .anyMatch(message -> message.contains("is ready: engine="));
    }

    /// A guest that spins for a minute would hold up the stop until then.
    @Test
    void aStopInterruptsProgramsAndAnswersTheirClients() throws Exception {
        try (ServiceProcess service = ServiceProcess.start(folder)) {
            service.api().createMachine("vm1");
            CompletableFuture<Answer> answer = new CompletableFuture<>();
            Thread client =
                    Thread.ofPlatform()
                            .start(() ->
                                    answer.complete(
                                            service.api()
                                                    .run(
                                                            "vm1",
                                                            """
                                                                   {"deadlineMillis":60000,"steps":[{"op":"check","at":{"gpa":0},
                                                            "count":4294967296,"stride":0}]}\
                                                            """)));
            long end = System.nanoTime() + Deadlines.HANG.toNanos();
            while (!service.api().get("/api/v1/machines/vm1").body().at("/vcpus/0/busy").asBoolean()
                    && System.nanoTime() < end) {
                Thread.onSpinWait();
            }
            service.stop();

            assertThat(answer.get(Deadlines.HANG_SECONDS, TimeUnit.SECONDS).at("/end"))
                    .isEqualTo("interrupted");
            client.join();
        }
    }

    private Path log() {
        return folder.resolve("service.log");
    }
}
