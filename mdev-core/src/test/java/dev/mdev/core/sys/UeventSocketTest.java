package dev.mdev.core.sys;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.support.Together;
import dev.mdev.gate.Deadlines;
import dev.mdev.gate.OnlyInBox;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/// The messages of a real kernel. It sends one whenever root writes to a file `uevent`.
@OnlyInBox
class UeventSocketTest {
    private static final Path NULL = Path.of("/sys/class/mem/null/uevent");
    private static final Path ZERO = Path.of("/sys/class/mem/zero/uevent");

    /// More than the kernel keeps for a reader.
    private static final int FLOOD = 5000;

    private final FailingLibc libc = new FailingLibc(Syscalls.ofThisProcess().libc());
    private final UeventSocket socket = new UeventSocket(new Syscalls(libc.libc()));

    @AfterEach
    void close() {
        socket.close();
    }

    private static boolean isOfNull(List<String> message) {
        return message.contains("DEVNAME=null") && message.contains("ACTION=change");
    }

    private static void change(Path uevent) throws IOException {
        Files.writeString(uevent, "change");
    }

    @Test
    void aMessageThatIsWantedEndsTheWaitAndOthersDoNot() throws IOException {
        change(ZERO);
        List<List<String>> heard = new ArrayList<>();
        Together.await(
                "it is heard",
                () -> {
                    assertThat(
                                    socket.await(
                                            message -> {
                                                heard.add(message);
                                                return isOfNull(message);
                                            },
                                            Duration.ofMillis(300)))
                            .isFalse();
                    return heard.stream().anyMatch(it -> it.contains("SUBSYSTEM=mem"));
                });

        change(NULL);

        assertThat(socket.await(UeventSocketTest::isOfNull, Deadlines.HANG)).isTrue();
        assertThat(socket.await(UeventSocketTest::isOfNull, Duration.ofMillis(50))).isFalse();
    }

    @Test
    void lostMessagesCountAsWanted() throws IOException {
        for (int i = 0; i < FLOOD; i++) {
            change(ZERO);
        }

        assertThat(socket.await(UeventSocketTest::isOfNull, Deadlines.HANG)).isTrue();
        change(NULL);
        assertThat(socket.await(UeventSocketTest::isOfNull, Deadlines.HANG))
                .as("it hears again")
                .isTrue();
    }

    @Test
    void aWaitEndsWhenItIsEnded() throws Exception {
        CompletableFuture<Boolean> heard =
                CompletableFuture.supplyAsync(() -> socket.await(_ -> false, Duration.ZERO));

        socket.end();

        assertThat(heard.get(Deadlines.HANG.toSeconds(), TimeUnit.SECONDS)).isFalse();
    }

    @Test
    void theKernelsErrorIsNamed() throws IOException {
        change(NULL);
        libc.fail((function, _) -> function.equals("recvmsg") ? Errno.ENOMEM.code() : 0);

        assertThatThrownBy(() -> socket.await(_ -> true, Duration.ZERO))
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ENOMEM))
                .hasMessageContaining("uevents");
        libc.fail((function, _) -> function.equals("bind") ? Errno.EPERM.code() : 0);
        assertThatThrownBy(() -> new UeventSocket(new Syscalls(libc.libc())))
                .hasMessageContaining("bind");
        libc.failNothing();
    }
}
