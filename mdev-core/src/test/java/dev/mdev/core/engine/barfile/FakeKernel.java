package dev.mdev.core.engine.barfile;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.sys.FuseAbi.OutHeader;
import dev.mdev.core.sys.Libc;
import dev.mdev.core.sys.Syscalls;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.Proxy;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/// A connection to no kernel, which takes down the answers.
final class FakeKernel {
    /// An answer.
    ///
    /// @param error 0 or an error number
    /// @param firstWord of the data; 0 if there are none
    record Answer(long unique, int error, long firstWord) {}

    final List<Answer> answers = new CopyOnWriteArrayList<>();
    final Syscalls sys = new Syscalls(libc());
    final FuseConnection connection =
            new FuseConnection(sys, sys.owned(1000, "fuse", () -> "open"));

    @SuppressWarnings("restricted") // of a message that the code under test has just made
    private Libc libc() {
        return (Libc)
                Proxy.newProxyInstance(
                        Libc.class.getClassLoader(),
                        new Class<?>[] {Libc.class},
                        (_, method, arguments) -> {
                            if (method.getName().equals("write")) {
                                answered(
                                        MemorySegment.ofAddress((Long) arguments[1])
                                                .reinterpret((Long) arguments[2]));
                                return arguments[2];
                            }
                            return method.getReturnType() == long.class ? (Object) 0L : 0;
                        });
    }

    private void answered(MemorySegment message) {
        assertThat(message.get(ValueLayout.JAVA_INT, OutHeader.LEN)).isEqualTo(message.byteSize());
        boolean hasData = message.byteSize() >= OutHeader.SIZE + Long.BYTES;
        answers.add(
                new Answer(
                        message.get(ValueLayout.JAVA_LONG, OutHeader.UNIQUE),
                        -message.get(ValueLayout.JAVA_INT, OutHeader.ERROR),
                        hasData ? message.get(ValueLayout.JAVA_LONG, OutHeader.SIZE) : 0));
    }
}
