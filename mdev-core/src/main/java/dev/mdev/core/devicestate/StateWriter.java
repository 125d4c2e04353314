package dev.mdev.core.devicestate;

import dev.mdev.api.page.Page;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.zip.CRC32C;
import java.util.zip.CheckedOutputStream;

/// Writes a state: the header, pages, the driver's bytes, the end; in this order.
public final class StateWriter {
    private final CRC32C crc = new CRC32C();
    private final DataOutputStream out;
    private long pages;
    private long driverBytes;

    /// @param out stays open
    public StateWriter(OutputStream out) {
        this.out = new DataOutputStream(new CheckedOutputStream(out, crc));
    }

    /// Writes the beginning.
    public void header(StateHeader header) throws IOException {
        out.write(StateFormat.MAGIC);
        out.writeShort(StateFormat.VERSION);
        ByteArrayOutputStream payload = new ByteArrayOutputStream();
        DataOutputStream fields = new DataOutputStream(payload);
        fields.writeLong(header.uuid().getMostSignificantBits());
        fields.writeLong(header.uuid().getLeastSignificantBits());
        fields.writeUTF(header.driver());
        fields.writeUTF(header.type());
        fields.writeInt(header.stateVersion());
        fields.writeInt(Page.SIZE);
        fields.writeShort(header.pools().size());
        for (StateHeader.Pool pool : header.pools()) {
            fields.writeUTF(pool.name());
            fields.writeLong(pool.npages());
        }
        section(StateFormat.TAG_HEADER, payload.toByteArray(), payload.size());
    }

    /// Writes neighbouring pages, at most [StateFormat#MAX_PAGES].
    ///
    /// @param content the pages are `length` bytes of it from `offset` on
    public void pages(int pool, long firstPage, byte[] content, int offset, int length)
            throws IOException {
        byte[] payload = new byte[StateFormat.PAGES_PREFIX_BYTES + length];
        ByteArrayOutputStream prefix = new ByteArrayOutputStream();
        DataOutputStream fields = new DataOutputStream(prefix);
        fields.writeShort(pool);
        fields.writeLong(firstPage);
        System.arraycopy(prefix.toByteArray(), 0, payload, 0, prefix.size());
        System.arraycopy(content, offset, payload, prefix.size(), length);
        section(StateFormat.TAG_PAGES, payload, payload.length);
        pages += length / Page.SIZE;
    }

    /// Writes all bytes of the driver.
    public void driver(byte[] content) throws IOException {
        int offset = 0;
        while (offset < content.length) {
            int length = Math.min(StateFormat.MAX_DRIVER_PART_BYTES, content.length - offset);
            byte[] part = new byte[length];
            System.arraycopy(content, offset, part, 0, length);
            section(StateFormat.TAG_DRIVER, part, length);
            offset += length;
        }
        driverBytes += content.length;
    }

    /// Writes the end.
    public void end() throws IOException {
        ByteArrayOutputStream payload = new ByteArrayOutputStream();
        DataOutputStream fields = new DataOutputStream(payload);
        fields.writeLong(pages);
        fields.writeLong(driverBytes);
        section(StateFormat.TAG_END, payload.toByteArray(), payload.size());
        out.flush();
    }

    private void section(int tag, byte[] payload, int length) throws IOException {
        if (length > StateFormat.maxLength(tag)) {
            throw new IllegalArgumentException("section=%d length=%d".formatted(tag, length));
        }
        out.writeByte(tag);
        out.writeInt(length);
        out.write(payload, 0, length);
        out.writeInt((int) crc.getValue());
    }
}
