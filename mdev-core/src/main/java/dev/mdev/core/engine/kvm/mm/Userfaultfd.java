package dev.mdev.core.engine.kvm.mm;

import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.sys.LinuxAbi;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;
import dev.mdev.core.sys.UserfaultfdAbi;
import dev.mdev.core.sys.UserfaultfdAbi.Api;
import dev.mdev.core.sys.UserfaultfdAbi.Continue;
import dev.mdev.core.sys.UserfaultfdAbi.Poison;
import dev.mdev.core.sys.UserfaultfdAbi.Range;
import dev.mdev.core.sys.UserfaultfdAbi.Register;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// A userfaultfd: a thread that accesses a registered absent page sleeps, and the address can be
/// read here. Any thread.
public final class Userfaultfd implements AutoCloseable {
    public static final String DEVICE = "/dev/userfaultfd";

    /// Features that this engine needs: faults of shared memory, for absent and for existing pages,
    /// and the faulting thread.
    static final long NEEDED_FEATURES =
            UserfaultfdAbi.UFFD_FEATURE_MISSING_SHMEM
                    | UserfaultfdAbi.UFFD_FEATURE_MINOR_SHMEM
                    | UserfaultfdAbi.UFFD_FEATURE_THREAD_ID;

    private final Syscalls sys;
    private final NativeFd fd;

    private Userfaultfd(Syscalls sys, NativeFd fd) {
        this.sys = sys;
        this.fd = fd;
    }

    /// Opens one through the device, which needs no capability except the right to open it.
    ///
    /// @throws dev.mdev.api.MdevException if there is none, or it lacks a feature (EINVAL)
    public static Userfaultfd open(Syscalls sys) {
        try (NativeFd device = sys.open(DEVICE, LinuxAbi.O_RDWR);
                Arena scratch = Arena.ofConfined()) {
            int number =
                    sys.libc()
                            .ioctl(
                                    device.number(),
                                    UserfaultfdAbi.USERFAULTFD_IOC_NEW,
                                    LinuxAbi.O_CLOEXEC | LinuxAbi.O_NONBLOCK);
            NativeFd fd = sys.owned(number, "uffd", () -> "USERFAULTFD_IOC_NEW");
            MemorySegment api = scratch.allocate(Api.SIZE, Long.BYTES);
            api.set(ValueLayout.JAVA_LONG, Api.API, UserfaultfdAbi.UFFD_API);
            api.set(ValueLayout.JAVA_LONG, Api.FEATURES, NEEDED_FEATURES);
            try {
                sys.ioctl(fd, UserfaultfdAbi.UFFDIO_API, api.address(), "UFFDIO_API");
            } catch (RuntimeException | Error e) {
                fd.close();
                throw e;
            }
            return new Userfaultfd(sys, fd);
        }
    }

    NativeFd fd() {
        return fd;
    }

    /// Registers a range for faults on absent pages.
    ///
    /// @param minor whether also for pages that exist in the file but not in the mapping
    /// @return 0 or the error number; EINVAL if the mapping's memory does not support it
    int tryRegister(HvaRange range, boolean minor) {
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment argument = rangeArgument(scratch, Register.SIZE, range);
            argument.set(
                    ValueLayout.JAVA_LONG,
                    Register.MODE,
                    UserfaultfdAbi.UFFDIO_REGISTER_MODE_MISSING
                            | (minor ? UserfaultfdAbi.UFFDIO_REGISTER_MODE_MINOR : 0));
            return tryIoctl(UserfaultfdAbi.UFFDIO_REGISTER, argument);
        }
    }

    /// Wakes all threads that sleep in the range: they access their pages again.
    void wake(HvaRange range) {
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment argument = rangeArgument(scratch, Range.SIZE, range);
            sys.ioctl(fd, UserfaultfdAbi.UFFDIO_WAKE, argument.address(), "UFFDIO_WAKE " + range);
        }
    }

    /// Maps existing pages of the file at the addresses where the mapping shows them. Wakes no
    /// thread: each fault has an event of its own, which is answered when the records are up to
    /// date.
    ///
    /// @return how far it came and why it stopped
    Continued tryContinue(HvaRange range) {
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment argument = rangeArgument(scratch, Continue.SIZE, range);
            argument.set(
                    ValueLayout.JAVA_LONG,
                    Continue.MODE,
                    UserfaultfdAbi.UFFDIO_CONTINUE_MODE_DONTWAKE);
            int errno = tryIoctl(UserfaultfdAbi.UFFDIO_CONTINUE, argument);
            long mapped = argument.get(ValueLayout.JAVA_LONG, Continue.MAPPED);
            return new Continued(Math.max(mapped, 0), errno);
        }
    }

    /// Outcome of [#tryContinue].
    ///
    /// @param mappedBytes bytes mapped from the start of the range
    /// @param errno 0 if that is all
    record Continued(long mappedBytes, int errno) {}

    /// Poisons pages: an access gets SIGBUS, or EFAULT in a system call. Wakes waiting threads.
    ///
    /// @return 0 or the error number
    int tryPoison(HvaRange range) {
        try (Arena scratch = Arena.ofConfined()) {
            return tryIoctl(
                    UserfaultfdAbi.UFFDIO_POISON, rangeArgument(scratch, Poison.SIZE, range));
        }
    }

    private static MemorySegment rangeArgument(Arena scratch, int size, HvaRange range) {
        MemorySegment argument = scratch.allocate(size, Long.BYTES);
        argument.set(ValueLayout.JAVA_LONG, Range.START, range.startHva());
        argument.set(ValueLayout.JAVA_LONG, Range.LEN, range.lengthBytes());
        return argument;
    }

    private int tryIoctl(long request, MemorySegment argument) {
        return sys.libc().ioctl(fd.number(), request, argument.address()) < 0
                ? sys.libc().errno()
                : 0;
    }

    @Override
    public void close() {
        fd.close();
    }
}
