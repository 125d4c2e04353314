package dev.mdev.core.engine.kvm.mm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.page.Page;
import dev.mdev.core.sys.FileFacts;
import dev.mdev.core.sys.Libc;
import dev.mdev.core.sys.Syscalls;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;

/// What memory in a file takes, and how it is given back.
@EnabledOnOs(value = OS.LINUX, disabledReason = "files without names are Linux's")
class FileMappingTest {
    private static final long GIB = 1L << 30;

    /// The kernel may give more than the page that is touched.
    private static final long MOST_AT_A_TIME = 2L << 20;

    private static FileMapping allocate(Libc libc, long sizeBytes) {
        return (FileMapping) new MemfdMemory(new Syscalls(libc)).allocate("test", sizeBytes);
    }

    private static Libc real() {
        return Syscalls.ofThisProcess().libc();
    }

    private static long held(FileMapping mapping) {
        return FileFacts.of(Syscalls.ofThisProcess(), mapping.file()).heldBytes();
    }

    private static byte[] junk(int length) {
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++) {
            bytes[i] = (byte) (i % 251 + 1);
        }
        return bytes;
    }

    private static void write(FileMapping mapping, long offset, byte[] bytes) {
        mapping.segment().asSlice(offset, bytes.length).copyFrom(MemorySegment.ofArray(bytes));
    }

    @Test
    void whatNobodyTouchesTakesNoMemory() {
        FileMapping mapping = allocate(real(), 64 * GIB);
        try {
            assertThat(held(mapping)).isZero();
            byte[] read = junk(1 << 20);
            mapping.read(40 * GIB, MemorySegment.ofArray(read));
            assertThat(read).containsOnly(0);
            assertThat(mapping.clear(0, 64 * GIB)).isTrue();
            assertThat(held(mapping)).as("after a copy and a clear of untouched pages").isZero();

            mapping.segment().set(ValueLayout.JAVA_BYTE, 40 * GIB, (byte) 1);

            assertThat(held(mapping)).isBetween((long) Page.SIZE, MOST_AT_A_TIME);
        } finally {
            mapping.release();
        }
    }

    @Test
    void clearedPagesGiveTheirMemoryBackAndNoOthersDo() {
        FileMapping mapping = allocate(real(), 8 * MOST_AT_A_TIME);
        try {
            byte[] bytes = junk((int) (6 * MOST_AT_A_TIME));
            write(mapping, 0, bytes);

            assertThat(mapping.clear(2 * MOST_AT_A_TIME, 6 * MOST_AT_A_TIME)).isTrue();

            assertThat(held(mapping)).isEqualTo(2 * MOST_AT_A_TIME);
            byte[] expected = new byte[(int) (8 * MOST_AT_A_TIME)];
            System.arraycopy(bytes, 0, expected, 0, (int) (2 * MOST_AT_A_TIME));
            byte[] read = junk(expected.length);
            mapping.read(0, MemorySegment.ofArray(read));
            assertThat(read).isEqualTo(expected);
        } finally {
            mapping.release();
        }
    }

    @Test
    void aLongCopyFindsWhatLiesBetweenHoles() {
        FileMapping mapping = allocate(real(), 1 << 20);
        try {
            byte[] expected = new byte[(1 << 20) - 300];
            for (int page : new int[] {1, 2, 7, 100, 254}) {
                byte[] bytes = junk(Page.SIZE - 11 * page);
                write(mapping, Page.addressOf(page) + 100, bytes);
                System.arraycopy(bytes, 0, expected, page * Page.SIZE, bytes.length);
            }
            byte[] read = junk(expected.length);

            mapping.read(100, MemorySegment.ofArray(read));

            assertThat(read).isEqualTo(expected);
        } finally {
            mapping.release();
        }
    }

    @Test
    void pagesThatCannotBePunchedAreFilled() {
        Libc without = withFallocate(-Errno.EOPNOTSUPP.code());
        FileMapping mapping = allocate(without, 1 << 20);
        try {
            write(mapping, 0, junk(1 << 20));

            assertThat(mapping.clear(Page.SIZE, Page.SIZE)).isTrue();

            assertThat(held(mapping)).isEqualTo(1 << 20);
            assertThat(
                            mapping.segment()
                                    .asSlice(Page.SIZE, Page.SIZE)
                                    .toArray(ValueLayout.JAVA_BYTE))
                    .containsOnly(0);
            assertThat(mapping.segment().get(ValueLayout.JAVA_BYTE, 2 * Page.SIZE)).isNotZero();
        } finally {
            mapping.release();
        }
    }

    @Test
    void pagesThatTheKernelOnlyClaimsToPunchDoNotPassForZeroes() {
        FileMapping mapping = allocate(withFallocate(0), 1 << 20);
        try {
            write(mapping, 300 * 1024, new byte[] {1});

            assertThat(mapping.clear(0, 1 << 20)).isFalse();
        } finally {
            mapping.release();
        }
    }

    /// The C library, but with a `fallocate` that does nothing.
    ///
    /// @param result 0, or a negative error number
    private static Libc withFallocate(int result) {
        Libc real = real();
        int[] failed = new int[1];
        return (Libc)
                Proxy.newProxyInstance(
                        Libc.class.getClassLoader(),
                        new Class<?>[] {Libc.class},
                        (_, method, args) -> {
                            if (method.getName().equals("fallocate")) {
                                failed[0] = -result;
                                return result == 0 ? 0 : -1;
                            }
                            if (method.getName().equals("errno") && failed[0] != 0) {
                                return failed[0];
                            }
                            try {
                                return method.invoke(real, args);
                            } catch (InvocationTargetException e) {
                                throw e.getCause();
                            }
                        });
    }
}
