package dev.mdev.core.sys;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.sys.LinuxAbi.Pollfd;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

@EnabledOnOs(value = OS.LINUX, disabledReason = "system calls of Linux")
class EventFdTest {
    private static final int POLL_MILLIS = 30_000;

    @Test
    void signalsAreCountedAndTaken() {
        try (EventFd event = new EventFd(Syscalls.ofThisProcess(), "test")) {
            assertThat(event.take()).isZero();
            event.signal();
            event.signal();
            assertThat(event.take()).isEqualTo(2);
            assertThat(event.take()).isZero();
        }
    }

    @Test
    void whoWaitsInTheKernelIsWoken() throws Exception {
        Syscalls sys = Syscalls.ofThisProcess();
        try (EventFd event = new EventFd(sys, "test");
                Arena arena = Arena.ofShared()) {
            MemorySegment polled = arena.allocate(Pollfd.SIZE, Long.BYTES);
            polled.set(ValueLayout.JAVA_INT, Pollfd.FD, event.fd().number());
            polled.set(ValueLayout.JAVA_SHORT, Pollfd.EVENTS, (short) LinuxAbi.POLLIN);
            List<Integer> ready = new ArrayList<>();
            Thread waiter =
                    Thread.ofPlatform()
                            .start(() ->
                                    ready.add(sys.libc().poll(polled.address(), 1, POLL_MILLIS)));
            event.signal();
            waiter.join();

            assertThat(ready).containsExactly(1);
            assertThat(event.take()).isOne();
        }
    }

    @Test
    void aCounterAtItsEndStaysSignalled() {
        try (EventFd event = new EventFd(Syscalls.ofThisProcess(), "test");
                Arena arena = Arena.ofConfined()) {
            MemorySegment most = arena.allocate(ValueLayout.JAVA_LONG);
            most.set(ValueLayout.JAVA_LONG, 0, -2);
            assertThat(
                            Syscalls.ofThisProcess()
                                    .libc()
                                    .write(event.fd().number(), most.address(), Long.BYTES))
                    .isEqualTo(Long.BYTES);
            event.signal();
            assertThat(event.take()).isEqualTo(-2);
        }
    }

    @Test
    void aClosedOneCannotBeSignalled() {
        EventFd event = new EventFd(Syscalls.ofThisProcess(), "test");
        event.close();
        assertThatThrownBy(event::signal)
                .isInstanceOfSatisfying(
                        MdevException.class,
                        failure -> assertThat(failure.errno()).isEqualTo(Errno.EBADF));
    }
}
