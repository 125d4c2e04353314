package dev.mdev.core.pci;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.BitSet;

/// What a guest set up in a function, and what is still to come of it: configuration space (with
/// BARs and masks), the MSI-X table, pending bits, the line.
///
/// ```
/// version:u8  kind:u32  config:part  table:part  msiPending:part  msixPending:part  line:u8  lineMasked:u8
/// part = length:u32 bytes
/// ```
///
/// @param kind of its registers, [ConfigRegisters#kind]
/// @param config all bytes of configuration space
/// @param table the MSI-X table, empty without MSI-X
/// @param line whether the device asserts its line
/// @param lineMasked whether an interrupt of the line waits for its end
@SuppressWarnings("ArrayRecordComponent") // content is handed over, not compared
record FunctionState(
        int kind,
        byte[] config,
        byte[] table,
        BitSet msiPending,
        BitSet msixPending,
        boolean line,
        boolean lineMasked) {
    private static final int VERSION = 1;
    private static final int MAX_PART_BYTES = 1 << 16;

    byte[] toBytes() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        try {
            out.writeByte(VERSION);
            out.writeInt(kind);
            writePart(out, config);
            writePart(out, table);
            writePart(out, msiPending.toByteArray());
            writePart(out, msixPending.toByteArray());
            out.writeBoolean(line);
            out.writeBoolean(lineMasked);
        } catch (IOException e) {
            // An array takes all bytes.
            throw new UncheckedIOException(e);
        }
        return bytes.toByteArray();
    }

    private static void writePart(DataOutputStream out, byte[] part) throws IOException {
        out.writeInt(part.length);
        out.write(part);
    }

    /// @throws MdevException EPROTO for bytes that [#toBytes] cannot have made, EOPNOTSUPP for
    ///   another version
    static FunctionState of(byte[] bytes) {
        try {
            DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes));
            int version = in.readUnsignedByte();
            if (version != VERSION) {
                throw new MdevException(Errno.EOPNOTSUPP, "function state version=" + version);
            }
            FunctionState state =
                    new FunctionState(
                            in.readInt(),
                            part(in),
                            part(in),
                            BitSet.valueOf(part(in)),
                            BitSet.valueOf(part(in)),
                            in.readBoolean(),
                            in.readBoolean());
            if (in.available() > 0) {
                throw malformed("%d bytes too many".formatted(in.available()));
            }
            return state;
        } catch (EOFException e) {
            throw malformed("it ends early");
        } catch (IOException e) {
            // An array gives all bytes.
            throw new UncheckedIOException(e);
        }
    }

    private static byte[] part(DataInputStream in) throws IOException {
        int length = in.readInt();
        if (length < 0 || length > MAX_PART_BYTES || length > in.available()) {
            throw malformed("a part of %d bytes".formatted(length));
        }
        byte[] part = new byte[length];
        in.readFully(part);
        return part;
    }

    private static MdevException malformed(String what) {
        return new MdevException(Errno.EPROTO, "malformed state of a function: " + what);
    }
}
