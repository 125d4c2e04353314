package dev.mdev.core.sys;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.mdev.gate.Deadlines;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;

/// Compares every constant of the `*Abi` classes with the C compiler and the headers of this
/// machine.
class AbiTest {
    private static final Path SOURCE = Path.of("src/test/c/abi.c");
    private static final String ABSENT = "absent";

    private static final List<Class<?>> ABIS =
            List.of(
                    LinuxAbi.class,
                    FileAbi.class,
                    SocketAbi.class,
                    UserfaultfdAbi.class,
                    KvmAbi.class,
                    KvmVcpuAbi.class,
                    FuseAbi.class);

    @TempDir Path directory;

    @Test
    void everyConstantIsWhatTheHeadersSay() throws Exception {
        Map<String, String> ours = constants();
        assertThat(ours).as("constants found by reflection").hasSizeGreaterThan(100);

        Map<String, String> theirs = runC();

        Map<String, String> known = new TreeMap<>(theirs);
        known.values().removeIf(ABSENT::equals);
        assertThat(theirs.keySet()).as("one line for each constant").isEqualTo(ours.keySet());
        assertThat(ours).containsAllEntriesOf(known);
        assertThat(known).as("headers too old to tell much").hasSizeGreaterThan(100);
    }

    private static Map<String, String> constants() throws IllegalAccessException {
        Map<String, String> constants = new TreeMap<>();
        for (Class<?> abi : ABIS) {
            collect(abi.getSimpleName(), abi, constants);
            for (Class<?> struct : abi.getDeclaredClasses()) {
                collect(abi.getSimpleName() + "." + struct.getSimpleName(), struct, constants);
            }
        }
        return constants;
    }

    private static void collect(String prefix, Class<?> type, Map<String, String> constants)
            throws IllegalAccessException {
        for (Field field : type.getDeclaredFields()) {
            if (Modifier.isPublic(field.getModifiers())) {
                constants.put(prefix + "." + field.getName(), field.get(null).toString());
            }
        }
    }

    private Map<String, String> runC() throws IOException, InterruptedException {
        Path program = directory.resolve("abi");
        assumeTrue(
                run(List.of("cc", "--version")) != null,
                "no C compiler: the golden test is skipped");
        assumeTrue(
                run(
                                List.of(
                                        "sh",
                                        "-c",
                                        "printf '#include <linux/fuse.h>\\n"
                                                + "#include <linux/kvm.h>\\n"
                                                + "#include <linux/userfaultfd.h>\\n'"
                                                + " | cc -fsyntax-only -x c -"))
                        != null,
                "no kernel headers: the golden test is skipped");
        assertThat(
                        run(
                                List.of(
                                        "cc",
                                        "-Wall",
                                        "-Werror",
                                        "-o",
                                        program.toString(),
                                        SOURCE.toString())))
                .as("abi.c compiles")
                .isNotNull();
        String output = Objects.requireNonNull(run(List.of(program.toString())), "abi ran");
        Map<String, String> values = new TreeMap<>();
        for (String line : output.lines().toList()) {
            int space = line.indexOf(' ');
            String name = line.substring(0, space);
            assertThat(values.put(name, line.substring(space + 1))).as("twice: " + name).isNull();
        }
        return values;
    }

    /// Runs a command.
    ///
    /// @return its output, or null if there is no such command or it failed
    private static @Nullable String run(List<String> command) throws InterruptedException {
        try {
            Process process =
                    new ProcessBuilder(command)
                            .redirectError(ProcessBuilder.Redirect.INHERIT)
                            .start();
            String output =
                    new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertThat(process.waitFor(Deadlines.HANG_SECONDS, TimeUnit.SECONDS)).isTrue();
            return process.exitValue() == 0 ? output : null;
        } catch (IOException e) {
            return null;
        }
    }
}
