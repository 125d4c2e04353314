package dev.mdev.core.machinestate;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.memslot.SmmDesign;

import org.jspecify.annotations.Nullable;

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
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.zip.CRC32C;
import java.util.zip.CheckedInputStream;

/// Reads a machine's state without trusting it: every result is in range, in order, and intact up
/// to the current position. The reader needs at most the memory of two sections, even for a hostile
/// stream.
///
/// A stream that [MachineStateWriter] cannot have written ends in [MdevException] EPROTO, and so
/// does a truncated one; a different format or page size ends in EOPNOTSUPP. The stream decides how
/// long a read may take.
public final class MachineStateReader {
    private static final List<SmmDesign> DESIGNS = List.of(SmmDesign.values());

    private final CRC32C crc = new CRC32C();
    private final DataInputStream in;
    private int lastTag = MachineStateFormat.TAG_HEADER;
    private long ramPages;
    private int devices;
    private int vcpus;
    private boolean hasSmm;

    /// The device whose parts or function come next.
    private int device;

    private boolean ended;

    /// A section that was read and not yet returned.
    private @Nullable MachineStateSection ahead;

    /// @param in stays open
    public MachineStateReader(InputStream in) {
        this.in = new DataInputStream(new CheckedInputStream(in, crc));
    }

    /// Reads the beginning.
    ///
    /// @throws IOException if the stream fails
    public MachineStateHeader header() throws IOException {
        try {
            byte[] magic = new byte[MachineStateFormat.MAGIC.length];
            in.readFully(magic);
            if (!Arrays.equals(magic, MachineStateFormat.MAGIC)) {
                throw malformed("not a machine's state");
            }
            int version = in.readUnsignedShort();
            if (version != MachineStateFormat.VERSION) {
                throw new MdevException(Errno.EOPNOTSUPP, "format version=" + version);
            }
            int tag = in.readUnsignedByte();
            if (tag != MachineStateFormat.TAG_HEADER) {
                throw malformed("no header but section=" + tag);
            }
            MachineStateHeader header = headerIn(payload(tag));
            ramPages = Page.numberOf(header.ramBytes());
            devices = header.devices().size();
            vcpus = header.vcpus();
            hasSmm = header.smm() != SmmDesign.NONE;
            return header;
        } catch (EOFException e) {
            throw truncated(e);
        }
    }

    private static MachineStateHeader headerIn(byte[] payload) throws IOException {
        try {
            return parseHeader(new DataInputStream(new ByteArrayInputStream(payload)));
        } catch (EOFException e) {
            throw malformed("the header is shorter than what it should hold", e);
        } catch (UTFDataFormatException e) {
            throw malformed("a name in the header is not text", e);
        }
    }

    private static MachineStateHeader parseHeader(DataInputStream fields) throws IOException {
        String name = fields.readUTF();
        String engine = fields.readUTF();
        int addressBits = fields.readUnsignedByte();
        int pageSize = fields.readInt();
        if (pageSize != Page.SIZE) {
            throw new MdevException(Errno.EOPNOTSUPP, "pageSize=" + pageSize);
        }
        long ramBytes = fields.readLong();
        int vcpus = fields.readUnsignedShort();
        int smm = fields.readUnsignedByte();
        int count = fields.readUnsignedShort();
        if (ramBytes < 0
                || !Page.isAligned(ramBytes)
                || vcpus < 1
                || vcpus > MachineStateFormat.MAX_VCPUS
                || smm >= DESIGNS.size()
                || count > MachineStateFormat.MAX_DEVICES) {
            throw malformed(
                    "ramBytes=%d vcpus=%d smm=%d devices=%d"
                            .formatted(ramBytes, vcpus, smm, count));
        }
        List<MachineStateHeader.Device> devices = new ArrayList<>();
        Set<UUID> uuids = new HashSet<>();
        for (int i = 0; i < count; i++) {
            MachineStateHeader.Device device = parseDevice(fields);
            if (!uuids.add(device.uuid())) {
                throw malformed("twice mdev=" + device.uuid());
            }
            devices.add(device);
        }
        if (fields.available() > 0) {
            throw malformed("%d bytes after the header".formatted(fields.available()));
        }
        return new MachineStateHeader(
                name, engine, addressBits, ramBytes, vcpus, DESIGNS.get(smm), devices);
    }

    private static MachineStateHeader.Device parseDevice(DataInputStream fields)
            throws IOException {
        UUID uuid = new UUID(fields.readLong(), fields.readLong());
        String driver = fields.readUTF();
        String type = fields.readUTF();
        int number = fields.readUnsignedByte();
        int count = fields.readUnsignedByte();
        Map<Integer, Long> bars = new TreeMap<>();
        for (int i = 0; i < count && i < MachineStateFormat.MAX_BARS; i++) {
            bars.put(fields.readUnsignedByte(), fields.readLong());
        }
        if (bars.size() != count) {
            throw malformed("mdev=%s bars=%d".formatted(uuid, count));
        }
        return new MachineStateHeader.Device(uuid, driver, type, number, bars);
    }

    /// Reads the next part. Must not be called after the end.
    ///
    /// @throws IOException if the stream fails
    public MachineStateSection next() throws IOException {
        MachineStateSection known = ahead;
        if (known != null) {
            ahead = null;
            return known;
        }
        try {
            int tag = in.readUnsignedByte();
            requireOrder(tag);
            lastTag = tag;
            byte[] payload = payload(tag);
            return parse(tag, payload);
        } catch (EOFException e) {
            throw truncated(e);
        }
    }

    private void requireOrder(int tag) {
        boolean inOrder =
                switch (tag) {
                    case MachineStateFormat.TAG_PAGES, MachineStateFormat.TAG_ZEROES ->
                            lastTag <= MachineStateFormat.TAG_ZEROES;
                    case MachineStateFormat.TAG_DEVICE ->
                            lastTag <= MachineStateFormat.TAG_FUNCTION && device < devices;
                    case MachineStateFormat.TAG_FUNCTION ->
                            lastTag == MachineStateFormat.TAG_DEVICE;
                    case MachineStateFormat.TAG_SMM ->
                            hasSmm
                                    && lastTag <= MachineStateFormat.TAG_FUNCTION
                                    && device == devices;
                    case MachineStateFormat.TAG_PROCESSORS ->
                            hasSmm
                                    ? lastTag == MachineStateFormat.TAG_SMM
                                    : lastTag <= MachineStateFormat.TAG_FUNCTION
                                            && device == devices;
                    case MachineStateFormat.TAG_END -> lastTag == MachineStateFormat.TAG_PROCESSORS;
                    default -> false;
                };
        if (!inOrder || ended) {
            throw malformed("section=%d after section=%d".formatted(tag, lastTag));
        }
    }

    private MachineStateSection parse(int tag, byte[] payload) throws IOException {
        DataInputStream fields = new DataInputStream(new ByteArrayInputStream(payload));
        try {
            return switch (tag) {
                case MachineStateFormat.TAG_PAGES -> parsePages(fields.readLong(), payload);
                case MachineStateFormat.TAG_ZEROES ->
                        parseZeroes(fields.readLong(), fields.readLong());
                case MachineStateFormat.TAG_DEVICE ->
                        new MachineStateSection.DevicePart(
                                requireDevice(fields.readUnsignedShort()), rest(payload));
                case MachineStateFormat.TAG_FUNCTION -> {
                    int index = requireDevice(fields.readUnsignedShort());
                    device++;
                    yield new MachineStateSection.Function(index, rest(payload));
                }
                case MachineStateFormat.TAG_SMM -> parseSmm(fields, payload.length);
                case MachineStateFormat.TAG_PROCESSORS -> parseProcessors(fields, payload.length);
                default -> parseEnd(fields);
            };
        } catch (EOFException e) {
            throw malformed("section=%d is shorter than what it should hold".formatted(tag), e);
        }
    }

    private static byte[] rest(byte[] payload) {
        return Arrays.copyOfRange(payload, Short.BYTES, payload.length);
    }

    private int requireDevice(int index) {
        if (index != device) {
            throw malformed("device=%d instead of %d".formatted(index, device));
        }
        return index;
    }

    private MachineStateSection parsePages(long first, byte[] payload) {
        int length = payload.length - Long.BYTES;
        if (length < Page.SIZE || !Page.isAligned(length)) {
            throw malformed("pages of %d bytes".formatted(length));
        }
        requireInRam(first, Page.numberOf(length));
        return new MachineStateSection.Pages(
                first, Arrays.copyOfRange(payload, Long.BYTES, payload.length));
    }

    private MachineStateSection parseZeroes(long first, long npages) {
        requireInRam(first, npages);
        return new MachineStateSection.Zeroes(first, npages);
    }

    private void requireInRam(long first, long npages) {
        if (npages < 1 || npages > ramPages || first < 0 || first > ramPages - npages) {
            throw malformed(
                    "firstPage=%d npages=%d ramPages=%d".formatted(first, npages, ramPages));
        }
    }

    private MachineStateSection parseSmm(DataInputStream fields, int length) throws IOException {
        if (length != MachineStateFormat.BRIDGE_BYTES + vcpus * MachineStateFormat.MODE_BYTES) {
            throw malformed("%d bytes of modes for vcpus=%d".formatted(length, vcpus));
        }
        byte[] bridge = new byte[MachineStateFormat.BRIDGE_BYTES];
        fields.readFully(bridge);
        List<SmmPosition> positions = new ArrayList<>();
        for (int i = 0; i < vcpus; i++) {
            int mode = fields.readUnsignedByte();
            if (mode > 3) {
                throw malformed("vcpu=%d mode=%d".formatted(i, mode));
            }
            positions.add(
                    new SmmPosition(
                            (mode & 1) != 0,
                            (mode & 2) != 0,
                            Integer.toUnsignedLong(fields.readInt())));
        }
        return new MachineStateSection.Smm(bridge, positions);
    }

    private MachineStateSection parseProcessors(DataInputStream fields, int length)
            throws IOException {
        if (length != vcpus * MachineStateFormat.PROCESSOR_BYTES) {
            throw malformed("%d bytes for vcpus=%d".formatted(length, vcpus));
        }
        List<ProgramPosition> positions = new ArrayList<>();
        for (int i = 0; i < vcpus; i++) {
            ProgramPosition position =
                    new ProgramPosition(fields.readBoolean(), fields.readInt(), fields.readLong());
            if (position.step() < 0 || position.completed() < 0) {
                throw malformed(position.toString());
            }
            positions.add(position);
        }
        return new MachineStateSection.Processors(positions);
    }

    private MachineStateSection parseEnd(DataInputStream fields) throws IOException {
        SaveReport report =
                new SaveReport(
                        fields.readInt(), fields.readLong(), fields.readLong(), fields.readLong());
        if (in.read() >= 0) {
            throw malformed("bytes after the end of the state");
        }
        ended = true;
        return new MachineStateSection.End(report);
    }

    /// The stream of the next device's state: it ends before the device's function.
    public InputStream deviceStream() {
        return new DeviceParts();
    }

    private final class DeviceParts extends InputStream {
        private byte[] part = new byte[0];
        private int used;

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] bytes, int offset, int length) throws IOException {
            Objects.checkFromIndexSize(offset, length, bytes.length);
            if (length == 0) {
                return 0;
            }
            while (used == part.length) {
                MachineStateSection section = next();
                if (!(section instanceof MachineStateSection.DevicePart one)) {
                    ahead = section;
                    return -1;
                }
                part = one.content();
                used = 0;
            }
            int now = Math.min(length, part.length - used);
            System.arraycopy(part, used, bytes, offset, now);
            used += now;
            return now;
        }
    }

    /// Reads a section's length, payload and check.
    private byte[] payload(int tag) throws IOException {
        int length = in.readInt();
        if (length < 1 || length > MachineStateFormat.maxLength(tag)) {
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

    private static MdevException malformed(String what) {
        return new MdevException(Errno.EPROTO, "malformed machine state: " + what);
    }

    private static MdevException malformed(String what, IOException e) {
        return new MdevException(Errno.EPROTO, "malformed machine state: " + what, e);
    }

    private MdevException truncated(EOFException e) {
        return new MdevException(
                Errno.EPROTO,
                "truncated machine state: it ends in or after section=%d".formatted(lastTag),
                e);
    }
}
