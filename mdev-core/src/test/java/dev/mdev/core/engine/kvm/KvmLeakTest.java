package dev.mdev.core.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.mdev.api.Errno;
import dev.mdev.core.engine.VcpuEngine;
import dev.mdev.core.engine.kvm.mm.MemfdMemory;
import dev.mdev.core.engine.kvm.mm.VmaBudget;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.sys.FailingLibc;
import dev.mdev.core.sys.Syscalls;
import dev.mdev.gate.Deadlines;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;

/// What is left of a machine whose making fails half-way: nothing. Each system call in turn is the
/// one that fails.
@RealKvm
class KvmLeakTest {
    /// What gives things back does not fail.
    private static final Set<String> NEVER_FAILING = Set.of("close", "munmap");

    private static final Path DESCRIPTORS = Path.of("/proc/self/fd");
    private static final Path MAPPINGS = Path.of("/proc/self/maps");

    private final FailingLibc failing = new FailingLibc(Syscalls.ofThisProcess().libc());
    private final KvmEngine engine =
            new KvmEngine(new Syscalls(failing.libc()), Deadlines.HANG, new VmaBudget(40_000));

    /// How a call fails.
    enum Failure {
        ERRNO,
        /// As when the Java machine has no memory or no thread left.
        ERROR;

        int errno() {
            return switch (this) {
                case ERRNO -> Errno.ENOMEM.code();
                case ERROR -> throw new OutOfMemoryError("injected");
            };
        }
    }

    @ParameterizedTest
    @EnumSource
    void aMachineThatCannotBeMadeLeavesNothing(Failure failure) throws IOException {
        List<String> before = held();
        int call = 0;
        while (makeWithout(call, failure) != null) {
            assertThat(held()).as("%s of call %d", failure, call).isEqualTo(before);
            call++;
        }
        assertThat(call).as("calls that failed").isGreaterThan(10);
    }

    /// Makes a machine with a processor, and closes both.
    ///
    /// @param failingCall which call fails, counted from 0
    /// @return what came of the failure, or null if there are not so many calls
    private @Nullable Throwable makeWithout(int failingCall, Failure failure) {
        AtomicInteger calls = new AtomicInteger();
        failing.fail((function, _) ->
                !NEVER_FAILING.contains(function) && calls.getAndIncrement() == failingCall
                        ? failure.errno()
                        : 0);
        return catchThrowable(this::make);
    }

    private void make() {
        AddressSpaces slots = new AddressSpaces(SlotConfig.withoutSmm());
        try (HostMemory memory = new HostMemory(new MemfdMemory(Syscalls.ofThisProcess()));
                KvmGuest guest = engine.createGuest(slots, memory)) {
            VcpuEngine vcpu = guest.createVcpu(0);
            // What follows only gives back.
            failing.failNothing();
            vcpu.close();
        }
    }

    /// The descriptors and mappings of machines that this process has.
    private static List<String> held() throws IOException {
        List<String> held = new ArrayList<>();
        try (DirectoryStream<Path> descriptors = Files.newDirectoryStream(DESCRIPTORS)) {
            for (Path descriptor : descriptors) {
                String target = targetOf(descriptor);
                if (isOfMachine(target)) {
                    held.add(descriptor.getFileName() + " " + target);
                }
            }
        }
        try (Stream<String> mappings = Files.lines(MAPPINGS)) {
            mappings.filter(KvmLeakTest::isOfMachine).forEach(held::add);
        }
        Collections.sort(held);
        return held;
    }

    /// The target of a descriptor; nothing if it has been closed, like the one of this listing.
    private static String targetOf(Path descriptor) throws IOException {
        try {
            return Files.readSymbolicLink(descriptor).toString();
        } catch (NoSuchFileException e) {
            return "";
        }
    }

    private static boolean isOfMachine(String text) {
        return text.contains("kvm") || text.contains("memfd:");
    }
}
