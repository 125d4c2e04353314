package dev.mdev.core.engine.barfile;

import dev.mdev.api.Errno;
import dev.mdev.api.page.Page;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.sys.LinuxAbi;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/// A file as the kernel knows it: its inode. It outlives the [BarFile] for as long as a client has
/// it open.
final class BarNode implements PageCache {
    /// The handle of the host's own descriptor; clients' have another.
    static final long HOST_HANDLE = 1;

    static final long CLIENT_HANDLE = 2;

    private final Syscalls sys;
    private final FuseConnection connection;
    private final long id;
    private final long sizeBytes;
    private final List<BarFile.Area> areas;
    private final BarCounters counters = new BarCounters();
    private final BarPages pages;

    /// The kernel's references.
    private final AtomicLong lookups = new AtomicLong();

    /// How often it may still be opened.
    private final AtomicInteger opens = new AtomicInteger(2);

    private final AtomicBoolean readingMany = new AtomicBoolean();

    private volatile @Nullable Askers askers;
    private volatile @Nullable NativeFd hostFd;

    /// @param areas sorted
    BarNode(
            Syscalls sys,
            FuseConnection connection,
            long id,
            List<BarFile.Area> areas,
            HostMemory memory,
            BarFileOptions options) {
        this.sys = sys;
        this.connection = connection;
        this.id = id;
        this.areas = List.copyOf(areas);
        BarFile.Area last = areas.getLast();
        this.sizeBytes = last.offsetBytes() + last.sizeBytes();
        PageStates states =
                new PageStates(
                        Page.numberOf(sizeBytes),
                        memory,
                        new Waiting(connection, options),
                        Ticker.SYSTEM);
        this.pages = new BarPages(states, this, counters);
    }

    long id() {
        return id;
    }

    long sizeBytes() {
        return sizeBytes;
    }

    List<BarFile.Area> areas() {
        return areas;
    }

    BarPages pages() {
        return pages;
    }

    BarCounters counters() {
        return counters;
    }

    /// Sets the threads that ask for its pages, and the host's descriptor, before a client has one.
    void connect(Askers itsAskers, NativeFd itsHostFd) {
        hostFd = itsHostFd;
        askers = itsAskers;
    }

    /// Counts a reference of the kernel.
    void lookedUp() {
        lookups.incrementAndGet();
    }

    /// @return whether the kernel has no more references
    boolean forgotten(long count) {
        return lookups.addAndGet(-count) <= 0;
    }

    /// The handle for the next opener: first the host, then the client's descriptor.
    ///
    /// @return 0 if it may not be opened again
    long open() {
        return switch (opens.getAndUpdate(left -> Math.max(left - 1, 0))) {
            case 2 -> HOST_HANDLE;
            case 1 -> CLIENT_HANDLE;
            default -> 0;
        };
    }

    boolean isMappable(long page) {
        long offset = Page.addressOf(page);
        return areas.stream()
                .anyMatch(area ->
                        offset >= area.offsetBytes()
                                && offset - area.offsetBytes() < area.sizeBytes());
    }

    /// Reads several pages, one thread at a time: many large reads of one client must not take all
    /// readers.
    ///
    /// @return whether it read them
    boolean readMany(long offsetBytes, MemorySegment into) {
        if (!readingMany.compareAndSet(false, true)) {
            return false;
        }
        try {
            return pages.clients().readMany(offsetBytes, into) == ClientPages.Found.CONTENT;
        } finally {
            readingMany.set(false);
        }
    }

    /// Has the driver asked for a page.
    void ask(long page) {
        Askers current = askers;
        if (current == null) {
            pages.giveUp(page, Errno.EIO);
        } else {
            current.ask(page);
        }
    }

    @Override
    public void writeBack(long firstPage, long npages) {
        NativeFd fd = hostFd;
        if (fd != null && !connection.isDead()) {
            // A help only: what it leaves is brought when pages are dropped.
            var _ =
                    sys.libc()
                            .syncFileRange(
                                    fd.number(),
                                    Page.addressOf(firstPage),
                                    Page.bytesOf(npages),
                                    LinuxAbi.SYNC_FILE_RANGE_WAIT_BEFORE
                                            | LinuxAbi.SYNC_FILE_RANGE_WRITE
                                            | LinuxAbi.SYNC_FILE_RANGE_WAIT_AFTER);
        }
    }

    @Override
    public void drop(long firstPage, long npages) {
        int errno = connection.invalidate(id, Page.addressOf(firstPage), Page.bytesOf(npages));
        if (errno != 0 && errno != Errno.ENOENT.code() && !connection.isDead()) {
            throw Syscalls.failure(
                    errno, "invalidate node=%d page=%d npages=%d".formatted(id, firstPage, npages));
        }
    }

    @Override
    public boolean read(long offsetBytes, MemorySegment destination) {
        NativeFd fd = hostFd;
        if (fd == null) {
            return false;
        }
        // Whole words, so that the kernel copies a small aligned value at once.
        long start = offsetBytes & -Long.BYTES;
        long end = (offsetBytes + destination.byteSize() + Long.BYTES - 1) & -Long.BYTES;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(end - start, Long.BYTES);
            long done = 0;
            while (done < end - start) {
                long got =
                        sys.libc()
                                .pread(
                                        fd.number(),
                                        buffer.address() + done,
                                        end - start - done,
                                        start + done);
                if (got <= 0) {
                    return false;
                }
                done += got;
            }
            MemorySegment.copy(buffer, offsetBytes - start, destination, 0, destination.byteSize());
            return true;
        }
    }

    @Override
    public boolean isDead() {
        return connection.isDead();
    }
}
