package dev.mdev.core.engine.barfile;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Page;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.engine.EngineProbe;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.hostmm.MmuNotifier;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.sys.LinuxAbi;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;

/// The BAR files of this process: a file system in user space, of the kernel's protocol without a
/// library, on a folder that only this process's user enters.
///
/// Any thread may call all methods. [BarFile]s are closed before their [MdevAssignment]s, and all
/// before this.
public final class BarFileSystem implements AutoCloseable {
    private static final Duration START = Duration.ofSeconds(20);
    private static final Duration END = Duration.ofSeconds(20);
    private static final int NAME_BYTES = 16;

    private final Syscalls sys;
    private final HostMemory memory;
    private final BarFileOptions options;
    private final BarMount mount;
    private final FuseConnection connection;
    private final BarRequests requests;
    private final SecureRandom random = new SecureRandom();
    private final AtomicLong nextNode = new AtomicLong(2);
    private final Set<BarFile> files = ConcurrentHashMap.newKeySet();
    private final AtomicBoolean closed = new AtomicBoolean();
    private final CountDownLatch end = new CountDownLatch(1);
    private final Thread clock;
    private final long device;

    private BarFileSystem(Syscalls sys, BarMount mount, HostMemory memory, BarFileOptions options) {
        this.sys = sys;
        this.mount = mount;
        this.memory = memory;
        this.options = options;
        this.connection = new FuseConnection(sys, mount.mount());
        this.requests = new BarRequests(connection, mount.uid(), mount.gid());
        connection.start(options.readers(), requests);
        try {
            this.device = awaitStart();
            this.clock =
                    Thread.ofPlatform().daemon().name("mdev-bar-deadlines").start(this::expire);
        } catch (RuntimeException | Error e) {
            mount.unmount(0);
            throw e;
        }
    }

    /// What BAR files need, and whether this machine has it.
    public static EngineProbe probe() {
        return new BarFileProbe(Syscalls.ofThisProcess()).probe();
    }

    /// Mounts the file system.
    ///
    /// @param folder made if missing; one process at a time uses it. A mount that a dead process
    ///   left there is removed
    /// @param memory the memory of all devices, [HostMemory#withHomes]
    /// @throws MdevException EBUSY if another process uses the folder, EPERM without the right to
    ///   mount, otherwise the kernel's error
    public static BarFileSystem mount(Path folder, HostMemory memory, BarFileOptions options) {
        Syscalls sys = Syscalls.ofThisProcess();
        BarMount mount = BarMount.take(MountRights.ofThisProcess().mounts(sys), folder);
        try {
            return new BarFileSystem(sys, mount, memory, options);
        } catch (RuntimeException | Error e) {
            mount.close();
            throw e;
        }
    }

    /// @return the device number of the file system
    private long awaitStart() {
        try {
            if (!requests.agreed().await(START.toNanos(), TimeUnit.NANOSECONDS)) {
                throw new MdevException(Errno.ETIMEDOUT, "the kernel sends no request");
            }
            return (Long) Files.getAttribute(mount.point(), "unix:dev");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new MdevException(Errno.EINTR, "interrupted in a mount", e);
        } catch (IOException e) {
            throw new MdevException(Errno.EIO, "the mount does not answer: " + e, e);
        }
    }

    /// Makes the file of a region that has lazy or eager areas. Asks the driver for the pages of
    /// eager areas; those that it refuses are asked for again at their first access.
    ///
    /// @throws MdevException EINVAL if the region has no such area, ESHUTDOWN after [#close]
    public BarFile open(MdevAssignment assignment, RegionInfo region) {
        return open(
                region.areas(),
                new Owner() {
                    @Override
                    public Vma map(HostMm mm, RegionArea area) {
                        return assignment.map(mm, region, area);
                    }

                    @Override
                    public void unmap(Vma vma) {
                        assignment.unmap(vma);
                    }
                });
    }

    /// The owner of a region.
    interface Owner {
        /// Reserves the addresses of an area.
        Vma map(HostMm mm, RegionArea area);

        /// Removes what was reserved.
        void unmap(Vma vma);
    }

    BarFile open(List<RegionArea> all, Owner owner) {
        List<RegionArea> areas =
                all.stream()
                        .filter(area -> area.kind() != RegionArea.Kind.TRAPPED)
                        .sorted(Comparator.comparingLong(RegionArea::offsetBytes))
                        .toList();
        if (areas.isEmpty()) {
            throw new MdevException(Errno.EINVAL, "nothing can be mapped: areas=" + all);
        }
        BarNode node =
                new BarNode(
                        sys,
                        connection,
                        nextNode.getAndIncrement(),
                        areas.stream()
                                .map(area -> new BarFile.Area(area.offsetBytes(), area.sizeBytes()))
                                .toList(),
                        memory,
                        options);
        BarPageTable table = new BarPageTable(node.pages(), node.sizeBytes());
        HostMm mm = new HostMm(table, memory, options.answerWithin());
        mm.addNotifier(new ForgetsRefusals(node.pages()));
        Askers askers =
                new Askers(node.pages(), mm, BarPageTable.START_HVA, options, node.counters());
        BarFile file =
                new BarFile(owner::unmap, node, mm, askers, openTwice(node, askers), files::remove);
        files.add(file);
        try {
            if (closed.get()) {
                throw new MdevException(Errno.ESHUTDOWN, "the file system is closed");
            }
            for (RegionArea area : areas) {
                table.next(area.offsetBytes());
                Vma vma = owner.map(mm, area);
                file.add(vma);
                if (area.kind() == RegionArea.Kind.EAGER) {
                    mm.populate(vma);
                }
            }
            return file;
        } catch (RuntimeException | Error e) {
            file.close();
            throw e;
        }
    }

    private BarFile.Descriptors openTwice(BarNode node, Askers askers) {
        byte[] bytes = new byte[NAME_BYTES];
        random.nextBytes(bytes);
        String name = HexFormat.of().formatHex(bytes);
        String path = mount.point().resolve(name).toString();
        requests.add(name, node);
        boolean opened = false;
        try {
            NativeFd host = sys.open(path, LinuxAbi.O_RDONLY);
            try {
                // Without this, a read of the host would read ahead.
                var _ = sys.libc().posixFadvise(host.number(), 0, 0, LinuxAbi.POSIX_FADV_RANDOM);
                NativeFd client = sys.open(path, LinuxAbi.O_RDWR);
                node.connect(askers, host);
                opened = true;
                return new BarFile.Descriptors(host, client);
            } catch (RuntimeException | Error e) {
                host.close();
                throw e;
            }
        } finally {
            requests.hide(name);
            if (!opened) {
                requests.remove(node);
            }
        }
    }

    /// A refusal holds until something is revoked: then the driver is asked again.
    private record ForgetsRefusals(BarPages pages) implements MmuNotifier {
        @Override
        public void invalidateStart(HvaRange range) {}

        @Override
        public void invalidateEnd(HvaRange range) {
            long first = Page.numberOf(range.startHva() - BarPageTable.START_HVA);
            pages.allowAgain(first, first + range.npages());
        }
    }

    /// Refuses accesses that wait for too long.
    private void expire() {
        long periodNanos = Math.max(options.answerWithin().toNanos() / 8, 1_000_000);
        try {
            while (!ended(periodNanos)) {
                long now = System.nanoTime();
                requests.nodes().forEach(node -> node.pages().expire(now));
            }
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }

    private boolean ended(long waitNanos) throws InterruptedException {
        return end.await(waitNanos, TimeUnit.NANOSECONDS);
    }

    /// Closes the files and unmounts. Clients that still have one find errors. Closing again does
    /// nothing.
    ///
    /// @throws MdevException EBUSY if a thread of this does not end
    @Override
    public void close() {
        if (!closed.compareAndSet(false, true)) {
            return;
        }
        try {
            files.forEach(BarFile::close);
        } finally {
            end.countDown();
            mount.unmount(device);
            finish();
        }
    }

    private void finish() {
        try {
            if (!connection.join(END) || !clock.join(END)) {
                throw new MdevException(Errno.EBUSY, "a reader of requests does not end");
            }
            connection.fd().close();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new MdevException(Errno.EINTR, "interrupted in an unmount", e);
        } finally {
            mount.close();
        }
    }
}
