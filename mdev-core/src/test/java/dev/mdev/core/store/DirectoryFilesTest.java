package dev.mdev.core.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

class DirectoryFilesTest {
    @TempDir Path directory;

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    private static void assertFails(ThrowingCallable call, Errno errno) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(errno));
    }

    @Test
    void filesAreThereForTheNextWhoOpensTheDirectory() {
        try (DirectoryFiles files = new DirectoryFiles(directory.resolve("new"))) {
            files.write("a", bytes("1"));
            files.append("a", bytes("2"), false);
            files.append("b", bytes("3"), true);
            files.replace("a", bytes("replaced"));
            files.append("a", bytes("+"), true);
            files.write("c", bytes("x"));
            files.delete("c");
            files.delete("c");
        }
        try (DirectoryFiles files = new DirectoryFiles(directory.resolve("new"))) {
            assertThat(files.list()).containsExactlyInAnyOrder("a", "b");
            assertThat(files.read("a", 100)).hasValue(bytes("replaced+"));
            assertThat(files.read("b", 100)).hasValue(bytes("3"));
            assertThat(files.read("c", 100)).isEmpty();
        }
    }

    @Test
    void anAppendAfterARenameGoesToTheFileThatHasTheNameNow() {
        try (DirectoryFiles files = new DirectoryFiles(directory)) {
            files.append("log", bytes("old"), true);
            files.write("next", bytes("new"));
            files.rename("next", "log");
            files.append("log", bytes("+"), true);

            assertThat(files.read("log", 100)).hasValue(bytes("new+"));
            assertThat(files.list()).containsExactly("log");
        }
    }

    @Test
    void aDirectoryIsOneProcesssAtATime() {
        DirectoryFiles first = new DirectoryFiles(directory);

        assertFails(() -> new DirectoryFiles(directory), Errno.EBUSY);

        first.close();
        new DirectoryFiles(directory).close();
    }

    @Test
    void aFileThatIsLargerThanAskedForIsNotRead() {
        try (DirectoryFiles files = new DirectoryFiles(directory)) {
            files.write("a", bytes("12345"));

            assertThat(files.read("a", 5)).isPresent();
            assertFails(() -> files.read("a", 4), Errno.EFBIG);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"", ".", "..", ".hidden", "a/b", "../a", "a b", "a\n", "lock"})
    void namesThatLeaveTheDirectoryOrAreNotPlainAreRefused(String name) {
        try (DirectoryFiles files = new DirectoryFiles(directory)) {
            assertFails(() -> files.write(name, bytes("x")), Errno.EINVAL);
            assertFails(() -> files.read(name, 1), Errno.EINVAL);
        }
    }

    @Test
    void aDirectoryThatIsAFileIsAnErrorThatNamesIt() throws IOException {
        Path file = Files.createFile(directory.resolve("file"));

        assertThatThrownBy(() -> new DirectoryFiles(file))
                .isInstanceOf(MdevException.class)
                .hasMessageContaining(file.toString());
    }

    @Test
    void nothingIsWrittenAfterItWasClosed() {
        DirectoryFiles files = new DirectoryFiles(directory);
        files.close();
        files.close();

        assertFails(() -> files.write("a", bytes("1")), Errno.ESHUTDOWN);
        assertFails(() -> files.append("a", bytes("1"), true), Errno.ESHUTDOWN);
        assertFails(() -> files.rename("a", "b"), Errno.ESHUTDOWN);
        assertFails(() -> files.delete("a"), Errno.ESHUTDOWN);
    }
}
