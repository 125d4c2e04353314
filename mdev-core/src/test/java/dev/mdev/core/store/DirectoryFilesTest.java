package dev.mdev.core.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.gate.Deadlines;

import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

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

    /// Opens a directory, or exits with 3 if another process has it open.
    public static void main(String[] arguments) {
        try (DirectoryFiles _ = new DirectoryFiles(Path.of(arguments[0]))) {
            System.exit(0);
        } catch (MdevException e) {
            System.exit(e.errno() == Errno.EBUSY ? 3 : 4);
        }
    }

    private int openInAnotherProcess() throws Exception {
        Process other =
                new ProcessBuilder(
                                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                                "-cp",
                                System.getProperty("java.class.path")
                                        + File.pathSeparator
                                        + System.getProperty("jdk.module.path", ""),
                                DirectoryFilesTest.class.getName(),
                                directory.toString())
                        .inheritIO()
                        .start();
        assertThat(other.waitFor(Deadlines.HANG_SECONDS, TimeUnit.SECONDS)).isTrue();
        return other.exitValue();
    }

    @Test
    void whoIsRefusedTheDirectoryDoesNotTakeTheLockFromWhoHasIt() throws Exception {
        Path link = directory.resolveSibling(directory.getFileName() + "-link");
        Files.createSymbolicLink(link, directory);
        try (DirectoryFiles _ = new DirectoryFiles(directory)) {
            assertFails(() -> new DirectoryFiles(directory), Errno.EBUSY);
            assertFails(() -> new DirectoryFiles(link), Errno.EBUSY);

            assertThat(openInAnotherProcess()).as("another process is refused").isEqualTo(3);
        }
        assertThat(openInAnotherProcess()).as("and let in when it is free").isZero();
        Files.delete(link);
    }

    @Test
    void whatIsNoFileOfOursIsToldNotOpenedAndCanBeDeleted() throws Exception {
        Path outside = Files.createTempFile("outside", ".txt");
        Files.writeString(outside, "not ours");
        Files.createSymbolicLink(directory.resolve("link.mdev"), outside);
        Files.createSymbolicLink(directory.resolve("next.tmp"), outside);
        Files.createDirectory(directory.resolve("folder.mdev"));
        assertThat(
                        new ProcessBuilder("mkfifo", directory.resolve("pipe.mdev").toString())
                                .start()
                                .waitFor())
                .isZero();
        try (DirectoryFiles files = new DirectoryFiles(directory)) {
            assertThat(files.list())
                    .containsExactlyInAnyOrder("link.mdev", "next.tmp", "folder.mdev", "pipe.mdev");
            for (String name : files.list()) {
                assertFails(() -> files.read(name, 100), Errno.EINVAL);
                assertFails(() -> files.write(name, bytes("x")), Errno.EINVAL);
                assertFails(() -> files.append(name, bytes("x"), true), Errno.EINVAL);
                assertFails(() -> files.truncate(name, 0), Errno.EINVAL);
                files.delete(name);
            }
            assertThat(files.list()).isEmpty();
        }
        assertThat(outside).hasContent("not ours");
        Files.delete(outside);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "a b.mdev",
                ".hidden.mdev",
                "per%cent;?#.mdev",
                "back\\slash.mdev",
                "~.mdev"
            })
    void aFileWithAStrangeNameHasAnAliasByWhichItIsDeleted(String name) throws IOException {
        Files.writeString(directory.resolve(name), "x");
        Files.writeString(directory.resolve("other" + name), "x");
        try (DirectoryFiles files = new DirectoryFiles(directory)) {
            String alias =
                    files.list().stream().filter(it -> !it.contains("other")).findFirst().get();
            assertThat(alias).startsWith("~").endsWith(".mdev").matches("[A-Za-z0-9._~-]+");
            assertFails(() -> files.read(alias, 100), Errno.EINVAL);
            assertFails(() -> files.write(alias, bytes("x")), Errno.EINVAL);

            files.delete(alias);
            files.delete(alias);

            assertThat(directory.resolve(name)).doesNotExist();
            assertThat(directory.resolve("other" + name)).exists();
        }
    }

    @Test
    void aFileWhoseNameIsNotMadeOfCharactersIsDeletedAsWell() throws Exception {
        assertThat(
                        new ProcessBuilder(
                                        "sh",
                                        "-c",
                                        "cd \"$1\" && : > \"$(printf 'a\\377b.mdev')\"",
                                        "sh",
                                        directory.toString())
                                .start()
                                .waitFor())
                .isZero();
        try (DirectoryFiles files = new DirectoryFiles(directory)) {
            assertThat(files.list()).containsExactly("~a~ffb.mdev");
            files.delete("~a~ffb.mdev");
            assertThat(files.list()).isEmpty();
        }
    }

    @Test
    void aFileIsCutToALength() {
        try (DirectoryFiles files = new DirectoryFiles(directory)) {
            files.append("a", bytes("12345"), true);
            files.truncate("a", 3);
            files.append("a", bytes("x"), true);
            files.truncate("a", 100);

            assertThat(files.read("a", 100)).hasValue(bytes("123x"));
        }
    }

    @Test
    void whatTheSystemRefusesIsAnErrorOfTheStore() throws IOException {
        try (DirectoryFiles files = new DirectoryFiles(directory)) {
            Files.createDirectory(directory.resolve("folder"));
            Files.writeString(directory.resolve("folder").resolve("in it"), "x");

            assertThatThrownBy(() -> files.delete("folder"))
                    .isInstanceOf(StoreException.class)
                    .hasMessageContaining("folder")
                    .hasMessageContaining(directory.toString());
            assertThatThrownBy(() -> files.rename("none", "other"))
                    .isInstanceOf(StoreException.class);
        }
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
