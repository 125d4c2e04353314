package dev.mdev.core.sys;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

@EnabledOnOs(value = OS.LINUX, disabledReason = "system calls of Linux")
class SyscallsTest {
    private final FailingLibc failing = new FailingLibc(Syscalls.ofThisProcess().libc());
    private final Syscalls sys = new Syscalls(failing.libc());

    @Test
    void aFailedCallNamesItsValuesAndTheErrorNumber() {
        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(() -> sys.open("/nowhere/at/all", LinuxAbi.O_RDWR))
                .withMessage("open path=/nowhere/at/all")
                .matches(e -> e.errno() == Errno.ENOENT);
    }

    @Test
    void anErrorNumberWithoutANameIsKeptInTheMessage() {
        MdevException failure = Syscalls.failure(126, "call x=1");

        assertThat(failure.errno()).isEqualTo(Errno.EIO);
        assertThat(failure).hasMessage("call x=1 errno=126");
    }

    @Test
    void anIoctlOfTheWrongFileIsRefused() {
        try (NativeFd fd = sys.open("/dev/null", LinuxAbi.O_RDWR)) {
            assertThatExceptionOfType(MdevException.class)
                    .isThrownBy(() -> sys.ioctl(fd, KvmAbi.KVM_CREATE_VM, 7, "KVM_CREATE_VM"))
                    .withMessageStartingWith("KVM_CREATE_VM fd=/dev/null=")
                    .withMessageEndingWith("argument=0x7")
                    .matches(e -> e.errno() == Errno.ENOTTY);
        }
    }

    @Test
    void aDescriptorIsClosedOnceAndNotUsedAfterwards() {
        int[] closes = new int[1];
        failing.fail((function, _) -> {
            closes[0] += function.equals("close") ? 1 : 0;
            return 0;
        });
        NativeFd fd = sys.eventfd("counter");
        int number = fd.number();
        assertThat(number).isNotNegative();

        fd.close();
        fd.close();

        assertThat(closes[0]).isOne();
        assertThat(fd.isClosed()).isTrue();
        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(fd::number)
                .matches(e -> e.errno() == Errno.EBADF);
        assertThat(sys.libc().close(number)).isEqualTo(-1);
        assertThat(sys.libc().errno()).isEqualTo(Errno.EBADF.code());
    }

    @Test
    void aMemfdThatCannotGrowLeavesNoDescriptorBehind() {
        int[] open = new int[1];
        failing.fail((function, _) -> {
            open[0] +=
                    switch (function) {
                        case "memfdCreate" -> 1;
                        case "close" -> -1;
                        default -> 0;
                    };
            return function.equals("ftruncate") ? Errno.ENOMEM.code() : 0;
        });

        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(() -> sys.memfd("vram", 0x1000))
                .withMessage("ftruncate name=vram sizeBytes=0x1000")
                .matches(e -> e.errno() == Errno.ENOMEM);
        assertThat(open[0]).isZero();
    }

    @Test
    @SuppressWarnings("restricted") // the size is that of the mapping
    void aMemfdIsMemoryOfZeroesThatMappingsShare() {
        try (NativeFd fd = sys.memfd("ram", 0x2000);
                Arena arena = Arena.ofConfined()) {
            long hva =
                    sys.mmap(
                            new Syscalls.Placement(
                                    0,
                                    0x2000,
                                    LinuxAbi.PROT_READ | LinuxAbi.PROT_WRITE,
                                    LinuxAbi.MAP_SHARED),
                            fd,
                            0);
            MemorySegment mapping = MemorySegment.ofAddress(hva).reinterpret(0x2000);
            assertThat(mapping.get(ValueLayout.JAVA_LONG, 0x1000)).isZero();
            mapping.set(ValueLayout.JAVA_LONG, 0, 0x1234);
            MemorySegment buffer = arena.allocate(8);

            assertThat(sys.libc().read(fd.number(), buffer.address(), 8)).isEqualTo(8);

            assertThat(buffer.get(ValueLayout.JAVA_LONG, 0)).isEqualTo(0x1234);
            sys.munmap(hva, 0x2000);
        }
    }

    @Test
    void aMappingThatIsRefusedSaysWhere() {
        try (NativeFd fd = sys.memfd("ram", 0x1000)) {
            assertThatExceptionOfType(MdevException.class)
                    .isThrownBy(() ->
                            sys.mmap(
                                    new Syscalls.Placement(0, 0, 0, LinuxAbi.MAP_SHARED),
                                    fd,
                                    0x1000))
                    .withMessageStartingWith(
                            "mmap address=0x0 lengthBytes=0x0 prot=0 flags=0x1 fd=")
                    .withMessageEndingWith("offset=0x1000")
                    .matches(e -> e.errno() == Errno.EINVAL);
        }
    }

    @Test
    void theErrorNumberIsTheThreadsOwn() throws Exception {
        Libc libc = Syscalls.ofThisProcess().libc();
        assertThat(libc.close(-1)).isEqualTo(-1);
        Thread other = Thread.ofPlatform().start(() -> libc.munmap(1, 1));
        other.join();

        assertThat(libc.errno()).isEqualTo(Errno.EBADF.code());
    }
}
