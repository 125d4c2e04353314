package dev.mdev.core.engine.barfile;

import dev.mdev.api.Errno;
import dev.mdev.api.page.Page;
import dev.mdev.core.sys.FuseAbi;
import dev.mdev.core.sys.FuseAbi.Attr;
import dev.mdev.core.sys.FuseAbi.AttrOut;
import dev.mdev.core.sys.FuseAbi.EntryOut;
import dev.mdev.core.sys.FuseAbi.OpenOut;
import dev.mdev.core.sys.FuseAbi.OutHeader;
import dev.mdev.core.sys.FuseAbi.StatfsOut;
import dev.mdev.core.sys.FuseAbi.WriteOut;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;

/// The answers to the kernel's requests: a directory that lists nothing, and files that only this
/// process can open, by names that exist while it does so.
///
/// Every opcode has an answer. Nothing here waits.
final class BarRequests implements FuseConnection.Handler {
    private static final int S_IFDIR = 0040000;
    private static final int S_IFREG = 0100000;
    private static final int SECTOR_BYTES = 512;
    private static final int MAX_NAME_BYTES = 255;

    /// Attributes never change.
    private static final long FOREVER_SECONDS = 1L << 31;

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED;

    private final FuseConnection connection;
    private final int uid;
    private final int gid;
    private final CountDownLatch agreed = new CountDownLatch(1);

    /// Files that are being opened, by name.
    private final Map<String, BarNode> names = new ConcurrentHashMap<>();

    /// Files that the kernel may know.
    private final Map<Long, BarNode> nodes = new ConcurrentHashMap<>();

    /// @param uid the owner of all files
    BarRequests(FuseConnection connection, int uid, int gid) {
        this.connection = connection;
        this.uid = uid;
        this.gid = gid;
    }

    /// Opens when the kernel and this process have agreed on a version.
    CountDownLatch agreed() {
        return agreed;
    }

    /// Makes a file known under a name.
    void add(String name, BarNode node) {
        nodes.put(node.id(), node);
        names.put(name, node);
    }

    /// Takes the name away. The file stays known while it is open anywhere.
    void hide(String name) {
        names.remove(name);
    }

    /// Forgets a file that could not be opened.
    void remove(BarNode node) {
        nodes.remove(node.id());
    }

    /// The files that are known.
    List<BarNode> nodes() {
        return List.copyOf(nodes.values());
    }

    @Override
    public void handle(FuseRequest request, MemorySegment scratch) {
        switch (request.opcode()) {
            case FuseAbi.FUSE_READ -> read(request, scratch);
            case FuseAbi.FUSE_WRITE -> write(request, scratch);
            case FuseAbi.FUSE_INIT -> {
                connection.agree(request, scratch);
                agreed.countDown();
            }
            case FuseAbi.FUSE_LOOKUP -> lookup(request, scratch);
            case FuseAbi.FUSE_GETATTR -> getattr(request, scratch);
            case FuseAbi.FUSE_OPEN -> open(request, scratch);
            case FuseAbi.FUSE_STATFS -> statfs(request, scratch);
            case FuseAbi.FUSE_RELEASE, FuseAbi.FUSE_DESTROY -> connection.succeed(request.unique());
            case FuseAbi.FUSE_SETATTR, FuseAbi.FUSE_OPENDIR ->
                    connection.fail(request.unique(), Errno.EPERM);
            // These have no answer.
            case FuseAbi.FUSE_FORGET -> forget(request.forgotten());
            case FuseAbi.FUSE_BATCH_FORGET -> forget(request.manyForgotten());
            // The kernel stops asking for most of the rest after this.
            default -> connection.fail(request.unique(), Errno.ENOSYS);
        }
    }

    private void read(FuseRequest request, MemorySegment scratch) {
        BarNode node = nodes.get(request.node());
        FuseRequest.Read read = request.read();
        if (node == null || read == null) {
            connection.fail(request.unique(), node == null ? Errno.ENOENT : Errno.EINVAL);
            return;
        }
        if (read.isDirect()) {
            // Nothing that maps the file needs it, and it knows no bounds.
            connection.fail(request.unique(), Errno.EPERM);
            return;
        }
        long size = Math.min(read.sizeBytes(), node.sizeBytes() - read.offsetBytes());
        if (size <= 0 || size > FuseConnection.MAX_DATA_BYTES) {
            if (size <= 0) {
                connection.succeed(request.unique());
            } else {
                connection.fail(request.unique(), Errno.EINVAL);
            }
            return;
        }
        MemorySegment into = scratch.asSlice(OutHeader.SIZE, size);
        if (size == Page.SIZE && Page.isAligned(read.offsetBytes())) {
            readPage(node, request.unique(), read, into, scratch);
        } else {
            readMany(node, request.unique(), read, into, scratch);
        }
    }

    private void readPage(
            BarNode node,
            long unique,
            FuseRequest.Read read,
            MemorySegment into,
            MemorySegment scratch) {
        long page = Page.numberOf(read.offsetBytes());
        if (!node.isMappable(page)) {
            connection.fail(unique, Errno.EIO);
            return;
        }
        boolean isHost = read.handle() == BarNode.HOST_HANDLE;
        switch (node.pages().clients().readPage(page, unique, isHost, into)) {
            case CONTENT -> {
                connection.answer(unique, scratch, Page.SIZE);
                node.counters().pagesRead(1);
            }
            case WAITS -> {}
            case ASK -> node.ask(page);
            case BUSY -> {
                node.counters().overflowed();
                connection.fail(unique, Errno.EAGAIN);
            }
            case REFUSED -> connection.fail(unique, Errno.EIO);
        }
    }

    private void readMany(
            BarNode node,
            long unique,
            FuseRequest.Read read,
            MemorySegment into,
            MemorySegment scratch) {
        if (node.readMany(read.offsetBytes(), into)) {
            connection.answer(unique, scratch, into.byteSize());
            node.counters().pagesRead(Page.countFor(into.byteSize()));
        } else {
            connection.fail(unique, Errno.EIO);
            node.counters().readSplit();
        }
    }

    private void write(FuseRequest request, MemorySegment scratch) {
        BarNode node = nodes.get(request.node());
        FuseRequest.Write write = request.write();
        if (node == null || write == null) {
            connection.fail(request.unique(), node == null ? Errno.ENOENT : Errno.EINVAL);
            return;
        }
        long size = write.data().byteSize();
        boolean inside = write.offsetBytes() <= node.sizeBytes() - size;
        if ((write.flags() & FuseAbi.FUSE_WRITE_CACHE) != 0) {
            if (inside) {
                node.pages().clients().writtenBack(write.offsetBytes(), write.data());
            }
        } else if (!inside || !node.pages().clients().write(write.offsetBytes(), write.data())) {
            connection.fail(request.unique(), Errno.EPERM);
            return;
        }
        MemorySegment out = scratch.asSlice(OutHeader.SIZE, WriteOut.SIZE).fill((byte) 0);
        out.set(INT, WriteOut.SIZE_BYTES, Math.toIntExact(size));
        connection.answer(request.unique(), scratch, WriteOut.SIZE);
    }

    private void lookup(FuseRequest request, MemorySegment scratch) {
        String name = request.name();
        BarNode node =
                name == null || request.node() != FuseAbi.FUSE_ROOT_ID ? null : names.get(name);
        if (node == null) {
            connection.fail(request.unique(), Errno.ENOENT);
            return;
        }
        node.lookedUp();
        MemorySegment out = scratch.asSlice(OutHeader.SIZE, EntryOut.SIZE).fill((byte) 0);
        out.set(LONG, EntryOut.NODEID, node.id());
        out.set(LONG, EntryOut.ATTR_VALID, FOREVER_SECONDS);
        writeAttributes(out.asSlice(EntryOut.ATTR, Attr.SIZE), node);
        connection.answer(request.unique(), scratch, EntryOut.SIZE);
    }

    private void getattr(FuseRequest request, MemorySegment scratch) {
        BarNode node = nodes.get(request.node());
        if (node == null && request.node() != FuseAbi.FUSE_ROOT_ID) {
            connection.fail(request.unique(), Errno.ENOENT);
            return;
        }
        MemorySegment out = scratch.asSlice(OutHeader.SIZE, AttrOut.SIZE).fill((byte) 0);
        out.set(LONG, AttrOut.ATTR_VALID, FOREVER_SECONDS);
        writeAttributes(out.asSlice(AttrOut.ATTR, Attr.SIZE), node);
        connection.answer(request.unique(), scratch, AttrOut.SIZE);
    }

    /// @param node null for the directory
    private void writeAttributes(MemorySegment out, @Nullable BarNode node) {
        long sizeBytes = node == null ? 0 : node.sizeBytes();
        out.set(LONG, Attr.INO, node == null ? FuseAbi.FUSE_ROOT_ID : node.id());
        out.set(LONG, Attr.SIZE_BYTES, sizeBytes);
        out.set(LONG, Attr.BLOCKS, sizeBytes / SECTOR_BYTES);
        out.set(INT, Attr.MODE, node == null ? S_IFDIR | 0700 : S_IFREG | 0600);
        out.set(INT, Attr.NLINK, node == null ? 2 : 1);
        out.set(INT, Attr.UID, uid);
        out.set(INT, Attr.GID, gid);
        out.set(INT, Attr.BLKSIZE, Page.SIZE);
    }

    private void open(FuseRequest request, MemorySegment scratch) {
        BarNode node = nodes.get(request.node());
        long handle = node == null ? 0 : node.open();
        if (handle == 0) {
            connection.fail(request.unique(), Errno.EPERM);
            return;
        }
        MemorySegment out = scratch.asSlice(OutHeader.SIZE, OpenOut.SIZE).fill((byte) 0);
        out.set(LONG, OpenOut.FH, handle);
        out.set(INT, OpenOut.OPEN_FLAGS, FuseAbi.FOPEN_KEEP_CACHE | FuseAbi.FOPEN_NOFLUSH);
        connection.answer(request.unique(), scratch, OpenOut.SIZE);
    }

    private void statfs(FuseRequest request, MemorySegment scratch) {
        MemorySegment out = scratch.asSlice(OutHeader.SIZE, StatfsOut.SIZE).fill((byte) 0);
        out.set(INT, StatfsOut.BSIZE, Page.SIZE);
        out.set(INT, StatfsOut.NAMELEN, MAX_NAME_BYTES);
        connection.answer(request.unique(), scratch, StatfsOut.SIZE);
    }

    private void forget(List<FuseRequest.Forgotten> all) {
        for (FuseRequest.Forgotten one : all) {
            BarNode node = nodes.get(one.node());
            if (node != null && node.forgotten(one.lookups())) {
                nodes.remove(one.node());
            }
        }
    }
}
