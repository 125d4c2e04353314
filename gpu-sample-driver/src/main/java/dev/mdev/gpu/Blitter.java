package dev.mdev.gpu;

import dev.mdev.api.Errno;
import dev.mdev.api.GuestMemory;
import dev.mdev.api.MdevException;

import java.lang.foreign.MemorySegment;

/// Moves the bytes of commands in steps, and can continue at any step.
///
/// The progress of a command is one number: bytes moved in the command's own order, row by row. So
/// a command can be interrupted for another device's, or saved and continued elsewhere.
///
/// Not thread-safe: one belongs to each queue, and only the engine's thread uses it.
final class Blitter {
    private static final int CHUNK_BYTES = 1 << 14;

    private final Vram vram;
    private final GuestMemory guestMemory;
    private final byte[] buffer = new byte[CHUNK_BYTES];

    Blitter(Vram vram, GuestMemory guestMemory) {
        this.vram = vram;
        this.guestMemory = guestMemory;
    }

    /// Moves up to `mostBytes` bytes of a checked command.
    ///
    /// @param doneBytes the bytes already moved
    /// @return bytes moved now; 0 if the next ones are not near yet
    /// @throws MdevException if memory is not there; what was moved now does not count. ECANCELED
    ///   if the device is to stand still, and nothing was moved yet
    long move(Command command, long doneBytes, long mostBytes) {
        long endBytes = Math.min(command.totalBytes(), doneBytes + mostBytes);
        long at = doneBytes;
        try {
            int moved;
            do {
                moved = movePiece(command, at, endBytes - at);
                at += moved;
            } while (moved > 0 && at < endBytes);
        } catch (MdevException e) {
            if (e.errno() != Errno.ECANCELED || at == doneBytes) {
                throw e;
            }
        }
        return at - doneBytes;
    }

    /// Moves a piece of one row.
    private int movePiece(Command command, long at, long mostBytes) {
        long row = at / command.rowBytes();
        long inRow = at % command.rowBytes();
        int length = (int) Math.min(Math.min(CHUNK_BYTES, mostBytes), command.rowBytes() - inRow);
        if (command.isBackward()) {
            row = command.rows() - 1 - row;
            inRow = command.rowBytes() - inRow - length;
        }
        long to = command.destination() + row * command.destinationPitch() + inRow;
        long from = command.source() + row * command.sourcePitch() + inRow;
        if (!isNear(command.opcode(), to, from, length)) {
            return 0;
        }
        MemorySegment piece = MemorySegment.ofArray(buffer).asSlice(0, length);
        switch (command.opcode()) {
            case Command.FILL -> {
                fill(command.value(), inRow, length);
                vram.write(to, piece);
            }
            case Command.BLIT -> vram.copy(from, to, length);
            case Command.COPY_IN -> {
                guestMemory.read(from, piece);
                vram.write(to, piece);
            }
            case Command.COPY_OUT -> {
                vram.read(from, piece);
                guestMemory.write(to, piece);
            }
            default -> throw new IllegalArgumentException("opcode=" + command.opcode());
        }
        return length;
    }

    /// The engine works for other devices while pages of this one's VRAM come.
    private boolean isNear(int opcode, long to, long from, int length) {
        return switch (opcode) {
            case Command.COPY_OUT -> vram.isNear(from, length);
            case Command.BLIT -> vram.isNear(from, length) && vram.isNear(to, length);
            default -> vram.isNear(to, length);
        };
    }

    /// The pattern starts again in each row.
    private void fill(int pattern, long inRow, int length) {
        for (int i = 0; i < length; i++) {
            buffer[i] = (byte) (pattern >>> (8 * (int) ((inRow + i) & 3)));
        }
    }
}
