package dev.mdev.core.guestmem;

import dev.mdev.api.page.Access;
import dev.mdev.core.hostmm.FaultResult;
import dev.mdev.core.hostmm.HostMm;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/// The accessors' way to host memory: through a [HostMm], faulting pages in as a copy by the kernel
/// would.
public final class MmHostMemory implements HostMemoryAccess {
    private static final VarHandle INTS =
            ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN).varHandle();
    private static final VarHandle LONGS =
            ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN).varHandle();

    private final HostMm mm;
    private final boolean mayFault;

    public MmHostMemory(HostMm mm) {
        this(mm, true);
    }

    private MmHostMemory(HostMm mm, boolean mayFault) {
        this.mm = mm;
        this.mayFault = mayFault;
    }

    /// Only pages that are already mapped: an absent page is an error for the accessor, whose
    /// caller faults it in outside every read section.
    public static MmHostMemory withoutFaults(HostMm mm) {
        return new MmHostMemory(mm, false);
    }

    @Override
    public boolean read(long hva, MemorySegment destination) {
        return read(hva, destination, mayFault);
    }

    @Override
    public boolean readWithoutFault(long hva, MemorySegment destination) {
        return read(hva, destination, false);
    }

    private boolean read(long hva, MemorySegment destination, boolean fault) {
        return mm.readPage(hva, fault, destination) == null;
    }

    @Override
    public boolean write(long hva, MemorySegment source) {
        return mm.writePage(hva, mayFault, source) == null;
    }

    @Override
    public Exchange compareExchange(long hva, int sizeBytes, long expected, long replacement) {
        boolean[] exchanged = new boolean[1];
        @Nullable FaultResult stop =
                mm.withPage(
                        hva,
                        Access.WRITE,
                        mayFault,
                        (memory, offset) ->
                                exchanged[0] =
                                        exchange(memory, offset, sizeBytes, expected, replacement));
        if (stop != null) {
            return Exchange.FAULT;
        }
        return exchanged[0] ? Exchange.EXCHANGED : Exchange.DIFFERENT;
    }

    private static boolean exchange(
            MemorySegment memory, long offset, int sizeBytes, long expected, long replacement) {
        return switch (sizeBytes) {
            case 8 -> LONGS.compareAndSet(memory, offset, expected, replacement);
            case 4 -> INTS.compareAndSet(memory, offset, (int) expected, (int) replacement);
            case 1, 2 -> exchangeInWord(memory, offset, sizeBytes, expected, replacement);
            default -> throw new IllegalArgumentException("sizeBytes=" + sizeBytes);
        };
    }

    /// Memory segments offer no compare-exchange narrower than 4 bytes. This exchanges the word
    /// around it, and retries while only its other bytes change.
    private static boolean exchangeInWord(
            MemorySegment memory, long offset, int sizeBytes, long expected, long replacement) {
        long word = offset & ~3L;
        int shift = (int) (offset - word) * Byte.SIZE;
        int mask = ((1 << (sizeBytes * Byte.SIZE)) - 1) << shift;
        while (true) {
            int before = (int) INTS.getVolatile(memory, word);
            if ((before & mask) != (((int) expected << shift) & mask)) {
                return false;
            }
            int after = (before & ~mask) | (((int) replacement << shift) & mask);
            if (INTS.compareAndSet(memory, word, before, after)) {
                return true;
            }
        }
    }
}
