package dev.mdev.core.machinestate;

import dev.mdev.api.page.Page;

import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32C;
import java.util.zip.CheckedOutputStream;

/// Writes a machine's state, in the order of the format.
public final class MachineStateWriter {
    private final SectionSink sink;

    MachineStateWriter(SectionSink sink) {
        this.sink = sink;
    }

    /// Writes the beginning of a stream.
    ///
    /// @param out stays open
    /// @return writes the sections after the header
    public static MachineStateWriter begin(OutputStream out, MachineStateHeader header)
            throws IOException {
        Checked stream = new Checked(out);
        stream.begin();
        MachineStateWriter writer = new MachineStateWriter(stream);
        writer.header(header);
        return writer;
    }

    private void header(MachineStateHeader header) throws IOException {
        ByteArrayOutputStream payload = new ByteArrayOutputStream();
        DataOutputStream fields = new DataOutputStream(payload);
        fields.writeUTF(header.name());
        fields.writeUTF(header.engine());
        fields.writeByte(header.physicalAddressBits());
        fields.writeInt(Page.SIZE);
        fields.writeLong(header.ramBytes());
        fields.writeShort(header.vcpus());
        fields.writeByte(header.smm().ordinal());
        fields.writeShort(header.devices().size());
        for (MachineStateHeader.Device device : header.devices()) {
            fields.writeLong(device.uuid().getMostSignificantBits());
            fields.writeLong(device.uuid().getLeastSignificantBits());
            fields.writeUTF(device.driver());
            fields.writeUTF(device.type());
            fields.writeByte(device.number());
            fields.writeByte(device.bars().size());
            for (Map.Entry<Integer, Long> bar : device.barsInOrder().entrySet()) {
                fields.writeByte(bar.getKey());
                fields.writeLong(bar.getValue());
            }
        }
        section(MachineStateFormat.TAG_HEADER, payload);
    }

    /// Writes neighbouring pages, at most [MachineStateFormat#MAX_PAGES].
    ///
    /// @param content the pages are `length` bytes of it from `offset` on
    public void pages(long firstPage, byte[] content, int offset, int length) throws IOException {
        byte[] payload = new byte[Long.BYTES + length];
        putLong(payload, firstPage);
        System.arraycopy(content, offset, payload, Long.BYTES, length);
        sink.section(MachineStateFormat.TAG_PAGES, payload, payload.length);
    }

    private static void putLong(byte[] bytes, long value) {
        for (int i = 0; i < Long.BYTES; i++) {
            bytes[i] = (byte) (value >>> (Long.SIZE - (i + 1) * Byte.SIZE));
        }
    }

    /// Writes that neighbouring pages are zero.
    public void zeroes(long firstPage, long npages) throws IOException {
        ByteArrayOutputStream payload = new ByteArrayOutputStream();
        DataOutputStream fields = new DataOutputStream(payload);
        fields.writeLong(firstPage);
        fields.writeLong(npages);
        section(MachineStateFormat.TAG_ZEROES, payload);
    }

    /// The stream of a device's state, to be closed before the next section is written.
    public OutputStream device(int index) {
        return new Parts(index);
    }

    /// Writes the state of a function.
    public void function(int index, byte[] state) throws IOException {
        ByteArrayOutputStream payload = new ByteArrayOutputStream();
        DataOutputStream fields = new DataOutputStream(payload);
        fields.writeShort(index);
        fields.write(state);
        section(MachineStateFormat.TAG_FUNCTION, payload);
    }

    /// Writes the mode of the processors of a machine that has system management mode.
    public void smm(MachineStateSection.Smm smm) throws IOException {
        ByteArrayOutputStream payload = new ByteArrayOutputStream();
        DataOutputStream fields = new DataOutputStream(payload);
        fields.write(smm.bridge());
        for (SmmPosition position : smm.positions()) {
            fields.writeByte((position.inside() ? 1 : 0) | (position.waiting() ? 2 : 0));
            fields.writeInt((int) position.smbase());
        }
        section(MachineStateFormat.TAG_SMM, payload);
    }

    /// Writes where the programs are.
    public void processors(List<ProgramPosition> positions) throws IOException {
        ByteArrayOutputStream payload = new ByteArrayOutputStream();
        DataOutputStream fields = new DataOutputStream(payload);
        for (ProgramPosition position : positions) {
            fields.writeBoolean(position.running());
            fields.writeInt(position.step());
            fields.writeLong(position.completed());
        }
        section(MachineStateFormat.TAG_PROCESSORS, payload);
    }

    /// Writes what a spool has.
    public void all(MachineStateSpool spool) throws IOException {
        spool.replay(sink);
    }

    /// Writes the end.
    public void end(SaveReport report) throws IOException {
        ByteArrayOutputStream payload = new ByteArrayOutputStream();
        DataOutputStream fields = new DataOutputStream(payload);
        fields.writeInt(report.rounds());
        fields.writeLong(report.pages());
        fields.writeLong(report.stoppedPages());
        fields.writeLong(report.stopNanos());
        section(MachineStateFormat.TAG_END, payload);
    }

    private void section(int tag, ByteArrayOutputStream payload) throws IOException {
        byte[] bytes = payload.toByteArray();
        if (bytes.length > MachineStateFormat.maxLength(tag)) {
            throw new IllegalArgumentException("section=%d length=%d".formatted(tag, bytes.length));
        }
        sink.section(tag, bytes, bytes.length);
    }

    /// A stream with checks.
    private static final class Checked implements SectionSink {
        private final CRC32C crc = new CRC32C();
        private final DataOutputStream out;

        Checked(OutputStream out) {
            this.out =
                    new DataOutputStream(
                            new CheckedOutputStream(new BufferedOutputStream(out, 1 << 16), crc));
        }

        void begin() throws IOException {
            out.write(MachineStateFormat.MAGIC);
            out.writeShort(MachineStateFormat.VERSION);
        }

        @Override
        public void section(int tag, byte[] payload, int length) throws IOException {
            out.writeByte(tag);
            out.writeInt(length);
            out.write(payload, 0, length);
            out.writeInt((int) crc.getValue());
            if (tag == MachineStateFormat.TAG_END) {
                out.flush();
            }
        }
    }

    /// Cuts a stream into sections.
    private final class Parts extends OutputStream {
        private final byte[] part = new byte[Short.BYTES + MachineStateFormat.MAX_PART_BYTES];
        private int used = Short.BYTES;

        Parts(int index) {
            part[0] = (byte) (index >>> Byte.SIZE);
            part[1] = (byte) index;
        }

        @Override
        public void write(int b) throws IOException {
            part[used++] = (byte) b;
            writeIfFull();
        }

        @Override
        public void write(byte[] bytes, int offset, int length) throws IOException {
            int done = 0;
            while (done < length) {
                int now = Math.min(length - done, part.length - used);
                System.arraycopy(bytes, offset + done, part, used, now);
                used += now;
                done += now;
                writeIfFull();
            }
        }

        private void writeIfFull() throws IOException {
            if (used == part.length) {
                close();
            }
        }

        @Override
        public void close() throws IOException {
            if (used > Short.BYTES) {
                sink.section(MachineStateFormat.TAG_DEVICE, part, used);
                used = Short.BYTES;
            }
        }
    }
}
