package dev.mdev.core.sys;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.sys.LinuxAbi.Pollfd;
import dev.mdev.core.sys.LinuxAbi.SpawnFileActions;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;

/// Runs a program of this machine that has a right which this process lacks, and takes the file
/// descriptor that the program opened, if it sends one.
///
/// The program gets one end of a Unix socket as its descriptor 3, which an environment variable
/// tells it. Java's own processes take no descriptor but the first three, and none of them may be a
/// socket. The program runs with the environment that it is given, and nothing of this process's.
public final class HelperProgram {
    private static final int STDERR = 2;
    private static final int SOCKET = 3;

    /// More of what a program says is cut off.
    private static final int MAX_MESSAGE_BYTES = 4096;

    private static final int EXIT_SHIFT = 8;
    private static final int SIGNAL_MASK = 0x7f;
    private static final long NANOS_PER_MILLI = 1_000_000;

    private final Syscalls sys;
    private final Libc libc;
    private final long endNanos;

    private HelperProgram(Syscalls sys, Duration limit) {
        this.sys = sys;
        this.libc = sys.libc();
        this.endNanos = System.nanoTime() + limit.toNanos();
    }

    /// What became of it.
    ///
    /// @param status its exit code; 128 and the signal that ended it, as a shell has it
    /// @param message what it wrote to its standard error
    /// @param fd what it sent, now the caller's; null if it sent none
    public record Result(int status, String message, @Nullable NativeFd fd) {
        /// Closes what it sent.
        public void discard() {
            if (fd != null) {
                fd.close();
            }
        }
    }

    /// Runs a program to its end.
    ///
    /// @param socketVariable the environment variable that names the socket
    /// @param environment further ones, as `NAME=VALUE`
    /// @param limit how long it may take
    /// @throws MdevException ETIMEDOUT if it takes longer, and is killed; or the errno of its start
    public static Result run(
            Syscalls sys,
            Path program,
            List<String> arguments,
            String socketVariable,
            List<String> environment,
            Duration limit) {
        return new HelperProgram(sys, limit)
                .run(program, arguments, socketVariable + "=" + SOCKET, environment);
    }

    private Result run(
            Path program, List<String> arguments, String variable, List<String> environment) {
        try (Arena arena = Arena.ofConfined();
                NativeFd messages = sys.memfd("messages of " + program, 0)) {
            MemorySegment pair = arena.allocate(ValueLayout.JAVA_INT, 2);
            if (libc.socketpair(
                            SocketAbi.AF_UNIX,
                            SocketAbi.SOCK_STREAM | SocketAbi.SOCK_CLOEXEC,
                            0,
                            pair.address())
                    < 0) {
                throw Syscalls.failure(libc.errno(), "socketpair");
            }
            NativeFd ours = new NativeFd(libc, "helper", pair.getAtIndex(ValueLayout.JAVA_INT, 0));
            try (UnixStream stream = new UnixStream(sys, ours)) {
                int pid;
                try (NativeFd theirs =
                        new NativeFd(libc, "socket", pair.getAtIndex(ValueLayout.JAVA_INT, 1))) {
                    List<String> all =
                            Stream.concat(Stream.of(variable), environment.stream()).toList();
                    pid = spawn(program, arguments, all, theirs, messages);
                }
                boolean ended = awaitEnd(stream, ours);
                int status = ended ? reap(pid) : kill(pid, program);
                List<NativeFd> sent = stream.takeFds();
                sent.stream().skip(1).forEach(NativeFd::close);
                return new Result(status, read(messages), sent.isEmpty() ? null : sent.getFirst());
            }
        }
    }

    private int spawn(
            Path program,
            List<String> arguments,
            List<String> environment,
            NativeFd socket,
            NativeFd messages) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment actions = arena.allocate(SpawnFileActions.SIZE, Long.BYTES);
            check(libc.posixSpawnFileActionsInit(actions.address()), program);
            try {
                check(
                        libc.posixSpawnFileActionsAdddup2(
                                actions.address(), messages.number(), STDERR),
                        program);
                check(
                        libc.posixSpawnFileActionsAdddup2(
                                actions.address(), socket.number(), SOCKET),
                        program);
                MemorySegment pid = arena.allocate(ValueLayout.JAVA_INT);
                String path = program.toString();
                List<String> command = Stream.concat(Stream.of(path), arguments.stream()).toList();
                check(
                        libc.posixSpawn(
                                pid.address(),
                                arena.allocateFrom(path).address(),
                                actions.address(),
                                0,
                                strings(arena, command),
                                strings(arena, environment)),
                        program);
                return pid.get(ValueLayout.JAVA_INT, 0);
            } finally {
                var _ = libc.posixSpawnFileActionsDestroy(actions.address());
            }
        }
    }

    private static void check(int errno, Path program) {
        if (errno != 0) {
            throw Syscalls.failure(errno, "posix_spawn program=" + program);
        }
    }

    /// @return the address of an array of pointers, with a 0 at its end
    private static long strings(Arena arena, List<String> all) {
        MemorySegment pointers = arena.allocate(ValueLayout.JAVA_LONG, all.size() + 1L);
        for (int i = 0; i < all.size(); i++) {
            pointers.setAtIndex(ValueLayout.JAVA_LONG, i, arena.allocateFrom(all.get(i)).address());
        }
        return pointers.address();
    }

    /// Receives until the program closes its end, as its exit does.
    ///
    /// @return false if it does not in time
    private boolean awaitEnd(UnixStream stream, NativeFd socket) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(Long.BYTES);
            MemorySegment one = arena.allocate(Pollfd.SIZE, Integer.BYTES);
            one.set(ValueLayout.JAVA_INT, Pollfd.FD, socket.number());
            one.set(ValueLayout.JAVA_SHORT, Pollfd.EVENTS, (short) LinuxAbi.POLLIN);
            while (true) {
                if (stream.receive(bytes.address(), bytes.byteSize(), false) == 0) {
                    return true;
                }
                long nanos = endNanos - System.nanoTime();
                if (nanos <= 0) {
                    return false;
                }
                // What a poll finds, the next attempt finds again.
                var _ = libc.poll(one.address(), 1, (int) (nanos / NANOS_PER_MILLI) + 1);
            }
        }
    }

    /// Waits for a process that has closed its descriptors: it is about to end.
    private int reap(int pid) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment status = arena.allocate(ValueLayout.JAVA_INT);
            while (libc.waitpid(pid, status.address(), 0) < 0) {
                if (libc.errno() != Errno.EINTR.code()) {
                    throw Syscalls.failure(libc.errno(), "waitpid pid=" + pid);
                }
            }
            int word = status.get(ValueLayout.JAVA_INT, 0);
            int signal = word & SIGNAL_MASK;
            return signal == 0 ? (word >> EXIT_SHIFT) & 0xff : 128 + signal;
        }
    }

    /// A process in the kernel may not end at once, so a thread of its own waits for that.
    private int kill(int pid, Path program) {
        var _ = libc.tgkill(pid, pid, LinuxAbi.SIGKILL);
        var _ = Thread.ofPlatform().daemon().name("mdev-reap-" + pid).start(() -> reap(pid));
        throw new MdevException(Errno.ETIMEDOUT, "it does not end: program=" + program);
    }

    private String read(NativeFd messages) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(MAX_MESSAGE_BYTES);
            long length = libc.pread(messages.number(), bytes.address(), bytes.byteSize(), 0);
            byte[] said = bytes.asSlice(0, Math.max(length, 0)).toArray(ValueLayout.JAVA_BYTE);
            return new String(said, StandardCharsets.UTF_8).strip();
        }
    }
}
