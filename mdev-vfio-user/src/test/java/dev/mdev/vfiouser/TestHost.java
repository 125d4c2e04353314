package dev.mdev.vfiouser;

import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;
import dev.mdev.gate.Deadlines;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;

/// A host with one device on a socket.
final class TestHost implements AutoCloseable {
    final TestDriver driver;
    final HostMemory memory = HostMemory.withHomes(new OffHeapBackend(), Long.MAX_VALUE);
    final MdevBus bus = new MdevBus(memory, Deadlines.HANG, MdevObserver.NONE);
    final Mdev mdev;
    final DeviceSocket socket;

    /// Waits for a client, and for the driver, as long as a busy machine may need.
    static final SessionOptions PATIENT =
            new SessionOptions(
                    DmaLimits.DEFAULT,
                    SessionOptions.DEFAULT.spin(),
                    Deadlines.HANG,
                    Deadlines.HANG,
                    Deadlines.HANG,
                    Deadlines.HANG,
                    SessionOptions.DEFAULT.releaseGrace());

    TestHost(Path folder) {
        this(folder, PATIENT);
    }

    TestHost(Path folder, SessionOptions options) {
        this(folder, options, BarFiles.NONE);
    }

    TestHost(Path folder, SessionOptions options, BarFiles barFiles) {
        this(folder, options, barFiles, new TestDriver(Optional.empty()));
    }

    TestHost(Path folder, SessionOptions options, BarFiles barFiles, TestDriver driver) {
        this.driver = driver;
        bus.addDriver(driver, Map.of());
        mdev = bus.create(UUID.randomUUID(), TestDriver.PARENT, TestDriver.TYPE);
        DeviceSocket.Settings usual = DeviceSocket.Settings.of(folder.resolve("s"), "vm");
        socket =
                DeviceSocket.open(
                        mdev,
                        memory,
                        new DeviceSocket.Settings(
                                usual.path(),
                                usual.permissions(),
                                -1,
                                -1,
                                "vm",
                                options,
                                barFiles,
                                new BusStates()));
    }

    private final class BusStates implements DeviceStates {
        @Override
        public void save(UUID uuid, OutputStream out) throws IOException {
            var _ = bus.save(uuid, out);
        }

        @Override
        public void restore(UUID uuid, InputStream in) throws IOException {
            bus.restore(uuid, in);
        }
    }

    TestDriver.Device device() {
        return driver.last();
    }

    VfioUserClient client() {
        return VfioUserClient.negotiated(socket.path());
    }

    @Override
    public void close() {
        socket.close();
        bus.close();
        memory.close();
    }

    /// Anonymous memory that is sealed against shrinking, as QEMU's is.
    static NativeFd sealed(long sizeBytes) {
        return GuestRam.memfd(sizeBytes, true);
    }

    /// Guest memory of a client: a sealed file and a mapping of it.
    static final class GuestRam implements AutoCloseable {
        private static final int MFD_CLOEXEC = 1;
        private static final int MFD_ALLOW_SEALING = 2;
        private static final int F_ADD_SEALS = 1033;
        private static final int F_SEAL_SHRINK = 2;

        final NativeFd fd;
        final MemorySegment memory;
        private final Arena arena = Arena.ofShared();

        @SuppressWarnings("restricted")
        GuestRam(long sizeBytes) {
            Syscalls sys = Syscalls.ofThisProcess();
            fd = memfd(sizeBytes, true);
            long address = sys.mmap(new Syscalls.Placement(0, sizeBytes, 3, 1), fd, 0);
            memory =
                    MemorySegment.ofAddress(address)
                            .reinterpret(sizeBytes, arena, _ -> sys.munmap(address, sizeBytes));
        }

        static NativeFd memfd(long sizeBytes, boolean seal) {
            Syscalls sys = Syscalls.ofThisProcess();
            try (Arena scratch = Arena.ofConfined()) {
                int number =
                        sys.libc()
                                .memfdCreate(
                                        scratch.allocateFrom("ram").address(),
                                        MFD_CLOEXEC | MFD_ALLOW_SEALING);
                NativeFd made = sys.owned(number, "ram", () -> "memfd_create");
                if (sys.libc().ftruncate(made.number(), sizeBytes) != 0) {
                    throw new AssertionError("ftruncate");
                }
                if (seal) {
                    var _ = sys.fcntl(made, F_ADD_SEALS, F_SEAL_SHRINK, "F_ADD_SEALS");
                }
                return made;
            }
        }

        @Override
        public void close() {
            fd.close();
            arena.close();
        }
    }
}
