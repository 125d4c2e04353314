package dev.mdev.core.devicestate;

import dev.mdev.api.DeviceState;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;

import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UTFDataFormatException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.zip.CRC32C;
import java.util.zip.CheckedInputStream;

/// Reads a state without trusting it: every result is in range, in order, and intact up to the
/// current position. The reader needs at most the memory of one section, even for a hostile stream.
///
/// A stream that [StateWriter] cannot have written ends in [MdevException] EPROTO, and so does a
/// truncated one; a different format or page size ends in EOPNOTSUPP. [#next] reads nothing beyond
/// the end of the state. The stream decides how long a read may take.
public final class StateReader {
    private final CRC32C crc = new CRC32C();
    private final DataInputStream in;
    private List<StateHeader.Pool> pools = List.of();
    private int lastTag = StateFormat.TAG_HEADER;

    /// The pool and the page from which the next pages may come.
    private int nextPool;

    private long nextPage;
    private long pages;
    private long driverBytes;

    /// @param in stays open
    public StateReader(InputStream in) {
        this.in = new DataInputStream(new CheckedInputStream(in, crc));
    }

    /// Reads the beginning.
    ///
    /// @throws IOException if the stream fails
    public StateHeader header() throws IOException {
        try {
            byte[] magic = new byte[StateFormat.MAGIC.length];
            in.readFully(magic);
            if (!Arrays.equals(magic, StateFormat.MAGIC)) {
                throw malformed("not a device's state");
            }
            int version = in.readUnsignedShort();
            if (version != StateFormat.VERSION) {
                throw new MdevException(Errno.EOPNOTSUPP, "format version=" + version);
            }
            int tag = in.readUnsignedByte();
            if (tag != StateFormat.TAG_HEADER) {
                throw malformed("no header but section=" + tag);
            }
            StateHeader header = headerIn(payload(tag));
            pools = header.pools();
            return header;
        } catch (EOFException e) {
            throw truncated(e);
        }
    }

    /// [StateWriter] did not write an intact section with inconsistent values, even if its checksum
    /// is correct.
    private static StateHeader headerIn(byte[] payload) throws IOException {
        try {
            return parseHeader(payload);
        } catch (EOFException e) {
            throw malformed("the header is shorter than what it should hold", e);
        } catch (UTFDataFormatException e) {
            throw malformed("a name in the header is not text", e);
        }
    }

    private static StateHeader parseHeader(byte[] payload) throws IOException {
        DataInputStream fields = new DataInputStream(new ByteArrayInputStream(payload));
        UUID uuid = new UUID(fields.readLong(), fields.readLong());
        String driver = fields.readUTF();
        String type = fields.readUTF();
        int stateVersion = fields.readInt();
        int pageSize = fields.readInt();
        if (pageSize != Page.SIZE) {
            throw new MdevException(Errno.EOPNOTSUPP, "pageSize=" + pageSize);
        }
        int count = fields.readUnsignedShort();
        if (count > StateFormat.MAX_POOLS) {
            throw malformed("pools=" + count);
        }
        List<StateHeader.Pool> pools = new ArrayList<>();
        Set<String> names = new HashSet<>();
        for (int i = 0; i < count; i++) {
            StateHeader.Pool pool = new StateHeader.Pool(fields.readUTF(), fields.readLong());
            if (pool.npages() < 1 || !names.add(pool.name())) {
                throw malformed("pool=%s npages=%d".formatted(pool.name(), pool.npages()));
            }
            pools.add(pool);
        }
        if (stateVersion < 1 || fields.available() > 0) {
            throw malformed(
                    "stateVersion=%d, %d bytes after the header"
                            .formatted(stateVersion, fields.available()));
        }
        return new StateHeader(uuid, driver, type, stateVersion, pools);
    }

    /// Reads the next part. Must not be called after the end.
    ///
    /// @throws IOException if the stream fails
    public StateSection next() throws IOException {
        try {
            int tag = in.readUnsignedByte();
            if (tag < lastTag || tag == StateFormat.TAG_HEADER) {
                throw malformed("section=%d after section=%d".formatted(tag, lastTag));
            }
            lastTag = tag;
            byte[] payload = payload(tag);
            return switch (tag) {
                case StateFormat.TAG_PAGES -> parsePages(payload);
                case StateFormat.TAG_DRIVER -> parseDriver(payload);
                default -> parseEnd(payload);
            };
        } catch (EOFException e) {
            throw truncated(e);
        }
    }

    /// Checks that nothing follows the state, for a stream that carries nothing else. Called after
    /// the end.
    ///
    /// @throws MdevException EPROTO if the stream goes on
    /// @throws IOException if the stream fails
    public void requireEndOfStream() throws IOException {
        if (in.read() >= 0) {
            throw malformed("bytes after the end of the state");
        }
    }

    /// Reads a section's length, payload and check.
    private byte[] payload(int tag) throws IOException {
        int length = in.readInt();
        if (length < 1 || length > StateFormat.maxLength(tag)) {
            throw malformed("section=%d length=%d".formatted(tag, length));
        }
        byte[] payload = new byte[length];
        in.readFully(payload);
        int expected = (int) crc.getValue();
        int check = in.readInt();
        if (check != expected) {
            throw malformed(
                    "section=%d check=0x%08x expected=0x%08x".formatted(tag, check, expected));
        }
        return payload;
    }

    private StateSection parsePages(byte[] payload) throws IOException {
        int length = payload.length - StateFormat.PAGES_PREFIX_BYTES;
        if (length < Page.SIZE || !Page.isAligned(length)) {
            throw malformed("pages of %d bytes".formatted(length));
        }
        DataInputStream fields = new DataInputStream(new ByteArrayInputStream(payload));
        int pool = fields.readUnsignedShort();
        long first = fields.readLong();
        long count = Page.numberOf(length);
        boolean inOrder = pool > nextPool || (pool == nextPool && first >= nextPage);
        boolean inside =
                pool < pools.size() && first >= 0 && first <= pools.get(pool).npages() - count;
        if (!inOrder || !inside) {
            throw malformed("pool=%d firstPage=%d npages=%d".formatted(pool, first, count));
        }
        nextPool = pool;
        nextPage = first + count;
        pages += count;
        return new StateSection.Pages(
                pool,
                first,
                Arrays.copyOfRange(payload, StateFormat.PAGES_PREFIX_BYTES, payload.length));
    }

    private StateSection parseDriver(byte[] payload) {
        driverBytes += payload.length;
        if (driverBytes > DeviceState.MAX_BYTES) {
            throw new MdevException(
                    Errno.EFBIG,
                    "the driver's state has more than %d bytes".formatted(DeviceState.MAX_BYTES));
        }
        return new StateSection.Driver(payload);
    }

    private StateSection parseEnd(byte[] payload) throws IOException {
        if (payload.length != StateFormat.END_BYTES) {
            throw malformed("end of %d bytes".formatted(payload.length));
        }
        DataInputStream fields = new DataInputStream(new ByteArrayInputStream(payload));
        if (fields.readLong() != pages || fields.readLong() != driverBytes) {
            throw malformed("the end does not add up");
        }
        return new StateSection.End();
    }

    private static MdevException malformed(String what) {
        return new MdevException(Errno.EPROTO, "malformed state: " + what);
    }

    private static MdevException malformed(String what, IOException e) {
        return new MdevException(Errno.EPROTO, "malformed state: " + what, e);
    }

    private MdevException truncated(EOFException e) {
        return new MdevException(
                Errno.EPROTO,
                "truncated state: it ends in or after section=%d, %d pages and %d bytes of the driver's were read"
                        .formatted(lastTag, pages, driverBytes),
                e);
    }
}
