package dev.mdev.core.sys;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/// Programs that have a right which this process lacks; here a shell. `BarWithoutRootTest` has one
/// that sends a descriptor.
@Timeout(value = 600, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class HelperProgramTest {
    private static final Path SHELL = Path.of("/bin/sh");

    private static HelperProgram.Result run(Path program, String script, Duration limit) {
        return HelperProgram.run(
                Syscalls.ofThisProcess(),
                program,
                List.of("-c", script),
                "SOCKET",
                List.of("PATH=/usr/bin:/bin", "WORD=a b"),
                limit);
    }

    private static HelperProgram.Result run(String script) {
        return run(SHELL, script, Deadlines.HANG);
    }

    @Test
    void itsExitCodeAndItsMessageAreKnown() {
        HelperProgram.Result result = run("echo \"no, $WORD\" >&2; exit 3");

        assertThat(result).isEqualTo(new HelperProgram.Result(3, "no, a b", null));
    }

    @Test
    void itGetsASocketAndTheGivenEnvironmentOnly() {
        HelperProgram.Result result =
                run("readlink /proc/self/fd/$SOCKET >&2; env | grep -c JAVA >&2; exit 0");

        assertThat(result.message()).matches("socket:\\[[0-9]+]\n0");
        assertThat(result.status()).isZero();
    }

    @Test
    void aSignalThatEndsItIsItsStatus() {
        assertThat(run("kill -TERM $$").status()).isEqualTo(128 + 15);
    }

    @Test
    void manyWordsAreCutOff() {
        assertThat(run("yes | head -n 100000 >&2").message()).hasSizeBetween(1000, 5000);
    }

    @Test
    void bytesThatItSendsAreNoDescriptor() {
        HelperProgram.Result result = run("head -c 100000 /dev/zero >&3");

        assertThat(result.status()).isZero();
        assertThat(result.fd()).isNull();
    }

    @Test
    void aProgramThatDoesNotEndIsKilled() {
        assertThatThrownBy(() -> run(SHELL, "exec sleep 100000", Duration.ofMillis(50)))
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ETIMEDOUT));
    }

    @Test
    void aProgramThatIsNotThereFails() {
        assertThatThrownBy(() -> run(Path.of("/nonexistent"), "", Deadlines.HANG))
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ENOENT));
    }
}
