package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;

import java.util.UUID;
import java.util.concurrent.CompletableFuture;

/// The behaviour and results of guest programs.
class GuestProgramTest extends HostTest {
    @Test
    void ramIsReadAsItWasWritten() {
        api.createMachine("vm1");
        Answer result =
                run(
                        """
                        {"steps":[
                          {"op":"write","at":{"gpa":"0x1000"},"width":4,"count":3,"stride":6,"value":"0xfffffffe","step":1},
                          {"op":"read","at":{"gpa":4096},"width":4,"count":3,"stride":6},
                          {"op":"read","at":{"gpa":"0x1000"},"width":2,"count":2,"stride":-2},
                          {"op":"check","at":{"gpa":"0x1000"},"width":4,"count":3,"stride":6,"value":"0xfffffffe","step":1}]}
                        """
                                .replace("\"0x1000\"},\"width\":2", "\"0x1002\"},\"width\":2"));
        assertThat(result.body().at("/steps/1/values").toString())
                .isEqualTo("[\"0xfffffffe\",\"0xffffffff\",\"0x0\"]");
        assertThat(result.body().at("/steps/2/values").toString())
                .isEqualTo("[\"0xffff\",\"0xfffe\"]");
        assertThat(result.numberAt("/steps/3/mismatches")).isZero();
        assertThat(result.at("/steps/3/op")).isEqualTo("check");
        assertThat(result.body().at("/steps/0/values").isMissingNode()).isTrue();
    }

    @Test
    void aCheckSaysWhereTheFirstDifferenceIs() {
        api.createMachine("vm1");
        Answer result =
                run(
                        """
                        {"steps":[
                          {"op":"fill","at":{"gpa":0},"bytes":4096,"value":"0x55"},
                          {"op":"write","at":{"gpa":"0x7f8"},"value":7},
                          {"op":"check","at":{"gpa":0},"count":512,"value":"0x55"}]}
                        """);
        assertThat(result.at("/end")).isEqualTo("completed");
        assertThat(result.numberAt("/steps/2/mismatches")).isEqualTo(1);
        assertThat(result.at("/steps/2/firstMismatch/gpa")).isEqualTo("0x7f8");
        assertThat(result.at("/steps/2/firstMismatch/expected")).isEqualTo("0x55");
        assertThat(result.at("/steps/2/firstMismatch/actual")).isEqualTo("0x7");
    }

    @Test
    void registersAreServedByTheDriver() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("vm1", mdev);
        Answer result =
                run(
                        """
                        {"steps":[
                          {"op":"read","at":{"mdev":"%1$s","bar":2,"offset":"0x800"},"width":4},
                          {"op":"write","at":{"mdev":"%1$s","bar":2,"offset":"0x808"},"width":4,"value":"0xdeadbeef"},
                          {"op":"read","at":{"mdev":"%1$s","bar":2,"offset":"0x808"},"width":4}]}
                        """
                                .formatted(mdev));
        assertThat(result.at("/steps/0/values/0")).isEqualTo("0x5047444d");
        assertThat(result.numberAt("/steps/0/mmioExits")).isEqualTo(1);
        assertThat(result.at("/steps/2/values/0")).isEqualTo("0xdeadbeef");
        assertThat(result.numberAt("/devices/0/faults")).isZero();
    }

    @Test
    void whatNobodyAnswersForReadsAsAllOnes() {
        api.createMachine("vm1");
        Answer result =
                run(
                        """
                        {"steps":[{"op":"write","at":{"gpa":"0x20000000"},"count":2},
                                  {"op":"read","at":{"gpa":"0x20000000"},"width":2}]}
                        """);
        assertThat(result.at("/steps/1/values/0")).isEqualTo("0xffff");
        assertThat(result.numberAt("/steps/0/unassigned")).isEqualTo(2);
    }

    @Test
    void aFaultEndsTheProgramUnlessItIsToGoOn() {
        UUID mdev = api.createMdev(HostileDriver.PARENT, "denies");
        api.createMachine("vm1", mdev);
        String program =
                """
                {"continueAfterFault":%b,"steps":[
                  {"op":"read","at":{"mdev":"%s","bar":0}},
                  {"op":"read","at":{"gpa":0}}]}
                """;
        Answer stopped = run(program.formatted(false, mdev));
        assertThat(stopped.at("/end")).isEqualTo("faulted");
        assertThat(stopped.body().at("/steps").size()).isEqualTo(1);

        Answer wentOn = run(program.formatted(true, mdev));
        assertThat(wentOn.at("/end")).isEqualTo("completed");
        assertThat(wentOn.at("/steps/0/fault/errno")).isEqualTo("EACCES");
        assertThat(wentOn.at("/steps/1/values/0")).isEqualTo("0x0");
    }

    @Test
    void aProgramEndsAtItsDeadline() {
        api.createMachine("vm1");
        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        long deadlineMillis = 100;
        Answer result = endlessFor(deadlineMillis);
        while (completed(result) == 0 && System.nanoTime() - end < 0) {
            // On a busy machine, the processor had no turn in that time, or in the second after it.
            assertThat(result.status()).isIn(200, 409, 504);
            deadlineMillis = Math.min(2 * deadlineMillis, 60_000);
            result = endlessFor(deadlineMillis);
        }
        assertThat(result.requireStatus(200).at("/end")).isEqualTo("interrupted");
        assertThat(completed(result)).isBetween(1L, (1L << 32) - 1);
        assertThat(result.numberAt("/steps/0/mismatches")).isZero();
    }

    private Answer endlessFor(long deadlineMillis) {
        return api.run(
                "vm1",
                """
                {"deadlineMillis":%d,"steps":[
                  {"op":"check","at":{"gpa":0},"count":4294967296,"stride":0}]}
                """
                        .formatted(deadlineMillis));
    }

    private static long completed(Answer result) {
        return result.body().at("/steps/0/completed").asLong(0);
    }

    @Test
    void aProgramCanBeInterruptedAndOnlyOneRunsOnAProcessor() throws Exception {
        UUID mdev = api.createMdev(HostileDriver.PARENT, "hangs");
        api.createMachine("vm1", mdev);
        String program =
                "{\"deadlineMillis\":600000,\"steps\":[{\"op\":\"read\",\"at\":{\"mdev\":\"%s\",\"bar\":0}}]}"
                        .formatted(mdev);
        CompletableFuture<Answer> running =
                CompletableFuture.supplyAsync(() -> api.run("vm1", program));
        HostileDriver.Stuck.awaitEntered();
        api.run("vm1", program).requireProblem(409, "busy");
        assertThat(api.get("/api/v1/machines/vm1").body().at("/vcpus/0/busy").asBoolean()).isTrue();

        api.post("/api/v1/machines/vm1/vcpus/0/interrupt", "").requireStatus(204);
        HostileDriver.Stuck.releaseAll();

        Answer result = running.get().requireStatus(200);
        assertThat(result.at("/end")).isEqualTo("interrupted");
        assertThat(api.get("/api/v1/machines/vm1").body().at("/vcpus/0/busy").asBoolean())
                .isFalse();
    }

    @Test
    void processorsOfOneMachineShareItsMemory() {
        api.createMachine("vm1");
        run("{\"steps\":[{\"op\":\"write\",\"at\":{\"gpa\":64},\"value\":99}]}");
        Answer other =
                api.post(
                                "/api/v1/machines/vm1/vcpus/1/programs",
                                "{\"steps\":[{\"op\":\"read\",\"at\":{\"gpa\":64}}]}")
                        .requireStatus(200);
        assertThat(other.at("/steps/0/values/0")).isEqualTo("0x63");
    }

    private Answer run(String program) {
        return api.run("vm1", program).requireStatus(200);
    }
}
