package dev.mdev.core.engine.barfile;

import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.sys.NativeFd;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;

/// A region of a device as a file, for a client in another process that maps it with `MAP_SHARED`.
/// Offsets in the file are offsets in the region.
///
/// Any thread may call all methods.
public final class BarFile implements AutoCloseable {
    private final Consumer<Vma> unmap;
    private final BarNode node;
    private final HostMm mm;
    private final Askers askers;
    private final NativeFd hostFd;
    private final NativeFd clientFd;
    private final Consumer<BarFile> onClose;
    private final List<Vma> vmas = new ArrayList<>();
    private final AtomicBoolean closed = new AtomicBoolean();

    /// A part of the file that a client may map.
    ///
    /// @param offsetBytes its offset, in the region and in the file, a multiple of the page size
    /// @param sizeBytes its size, a multiple of the page size
    public record Area(long offsetBytes, long sizeBytes) {}

    /// Its descriptors: the host's own, and the one for clients.
    record Descriptors(NativeFd host, NativeFd client) {}

    BarFile(
            Consumer<Vma> unmap,
            BarNode node,
            HostMm mm,
            Askers askers,
            Descriptors descriptors,
            Consumer<BarFile> onClose) {
        this.unmap = unmap;
        this.node = node;
        this.mm = mm;
        this.askers = askers;
        this.hostFd = descriptors.host;
        this.clientFd = descriptors.client;
        this.onClose = onClose;
    }

    /// Adds a mapping, before another thread sees this object.
    void add(Vma vma) {
        vmas.add(vma);
    }

    /// The descriptor to pass to a client, for loads and stores. It stays this object's, until
    /// [#close]. Only this descriptor and its duplicates reach the file: it cannot be opened again,
    /// neither by a path nor through `/proc`.
    public int fd() {
        return clientFd.number();
    }

    /// The size of the file: the end of the last area.
    public long sizeBytes() {
        return node.sizeBytes();
    }

    /// The parts that a client may map, sorted: the lazy and the eager areas of the region. An
    /// access to another part of the file gets SIGBUS.
    public List<Area> areas() {
        return node.areas();
    }

    /// The region's mappings. The host's copies to and from [#hvaOf] serve accesses by message to
    /// the areas, and see what a client sees.
    public HostMm hostMm() {
        return mm;
    }

    /// Where [#hostMm] has a byte of the region, which is in one of the areas.
    public long hvaOf(long offsetBytes) {
        return BarPageTable.START_HVA + offsetBytes;
    }

    /// Pages that the driver has granted, and not revoked.
    public long residentPages() {
        return vmas.stream().mapToLong(Vma::residentPages).sum();
    }

    /// What has happened at the file.
    public BarFileCounts counts() {
        return node.counters().snapshot();
    }

    /// Revokes everything: when this returns, what clients wrote is in the device's memory, and
    /// they reach none of it. From then on they find the refusal of [BarFileOptions.Refused].
    /// Closing again does nothing.
    @Override
    public void close() {
        if (!closed.compareAndSet(false, true)) {
            return;
        }
        try {
            vmas.forEach(unmap);
            mm.close();
        } finally {
            node.pages().close();
            askers.close();
            clientFd.close();
            hostFd.close();
            onClose.accept(this);
        }
    }
}
