package dev.mdev.pcisplit.function;

import dev.mdev.api.LinearMemory.Layouts;

import java.lang.foreign.MemorySegment;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;

/// A copy of a function's configuration space (PCI Local Bus Specification 3.0, chapter 6). Bytes
/// that the kernel does not show read as zero: without privileges, all after the first 64.
public final class ConfigSpace {
    static final int COMMAND = 0x04;

    private static final int COMMAND_MEMORY = 2;
    private static final int COMMAND_NO_LINE = 0x400;
    private static final int STATUS = 0x06;
    private static final int STATUS_CAPABILITIES = 0x10;
    private static final int CAPABILITIES = 0x34;
    private static final int FIRST_CAPABILITY = 0x40;
    private static final int END = 0x100;
    private static final int MSIX = 0x11;
    private static final int MSIX_ENTRY_BYTES = 16;
    private static final int HEADER = 0x0e;

    private final MemorySegment bytes = MemorySegment.ofArray(new byte[END + Integer.BYTES]);

    /// @param content its first bytes
    ConfigSpace(byte[] content) {
        int length = Math.min(content.length, END);
        MemorySegment.copy(MemorySegment.ofArray(content), 0, bytes, 0, length);
    }

    private int word(int offset) {
        return bytes.get(Layouts.INT, offset) & 0xffff;
    }

    private int octet(int offset) {
        return word(offset) & 0xff;
    }

    /// Whether no function answers: the vendor is all ones.
    boolean isAllOnes() {
        return word(0) == 0xffff;
    }

    boolean decodesMemory() {
        return (word(COMMAND) & COMMAND_MEMORY) != 0;
    }

    /// The command register with memory decoding.
    byte[] commandWithMemory() {
        return bytesOf(word(COMMAND) | COMMAND_MEMORY);
    }

    /// The command register that does not disable the interrupt line.
    byte[] commandWithLine() {
        return bytesOf(word(COMMAND) & ~COMMAND_NO_LINE);
    }

    private static byte[] bytesOf(int word) {
        return new byte[] {(byte) word, (byte) (word >> Byte.SIZE)};
    }

    /// Whether it is a plain function, and not a bridge.
    boolean isPlain() {
        return (octet(HEADER) & 0x7f) == 0;
    }

    /// A part of a BAR that belongs to the function's interrupts.
    ///
    /// @param what it is, for messages
    record InterruptTable(String what, int bar, long offsetBytes, long endBytes) {}

    /// Where the tables of MSI-X are, if it has MSI-X.
    Set<InterruptTable> interruptTables() {
        Set<InterruptTable> tables = new HashSet<>();
        capability(MSIX)
                .ifPresent(at -> {
                    long vectors = (word(at + 2) & 0x7ff) + 1L;
                    tables.add(table("MSI-X table", at + 4, vectors * MSIX_ENTRY_BYTES));
                    tables.add(
                            table("MSI-X pending bits", at + 8, (vectors + 63) / 64 * Long.BYTES));
                });
        return tables;
    }

    private InterruptTable table(String what, int at, long lengthBytes) {
        int place = bytes.get(Layouts.INT, at);
        long offset = Integer.toUnsignedLong(place & ~7);
        return new InterruptTable(what, place & 7, offset, offset + lengthBytes);
    }

    /// The offset of a capability. A list that is a circle ends.
    private Optional<Integer> capability(int id) {
        if ((word(STATUS) & STATUS_CAPABILITIES) == 0) {
            return Optional.empty();
        }
        Set<Integer> seen = new HashSet<>();
        int at = octet(CAPABILITIES) & ~3;
        while (at >= FIRST_CAPABILITY && seen.add(at)) {
            if (octet(at) == id) {
                return Optional.of(at);
            }
            at = octet(at + 1) & ~3;
        }
        return Optional.empty();
    }
}
