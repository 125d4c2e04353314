package dev.mdev.gpu;

import dev.mdev.api.Aperture;
import dev.mdev.api.Errno;
import dev.mdev.api.LinearMemory;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/// A page of constants that all devices of a GPU share: one turn of the sine, as [#COUNT] signed
/// 16-bit numbers, little-endian, from -32767 to 32767. Guests map it read-only; there is one copy,
/// however many devices there are.
///
/// @param pfn its only page
record Sines(Aperture aperture, long pfn) implements LinearMemory {
    /// The pool that it is from, which no device owns.
    static final String POOL = "sines";

    static final int COUNT = Page.SIZE / Short.BYTES;

    private static final ValueLayout.OfShort NUMBER =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /// Fills the page, before there is a device.
    static Sines in(Aperture aperture, PfnRange pool) {
        MemorySegment numbers = MemorySegment.ofArray(new byte[Page.SIZE]);
        for (int i = 0; i < COUNT; i++) {
            numbers.set(NUMBER, (long) i * Short.BYTES, valueAt(i));
        }
        Sines sines = new Sines(aperture, pool.firstPfn());
        aperture.write(aperture.offsetOf(sines.pfn), numbers);
        return sines;
    }

    /// The sine of `i / COUNT` turns.
    static short valueAt(int i) {
        return (short) Math.round(Math.sin(2 * Math.PI * i / COUNT) * Short.MAX_VALUE);
    }

    /// The answer to a guest's access to the page.
    MapDecision decide(MapRequest request) {
        if (request.access() == Access.WRITE) {
            return new MapDecision.Deny("the page of sines is read only");
        }
        return MapDecision.grantPage(request, pfn, Prot.READ);
    }

    /// For a guest that cannot map it.
    @Override
    public void read(long offsetBytes, MemorySegment destination) {
        aperture.read(aperture.offsetOf(pfn) + offsetBytes, destination);
    }

    @Override
    public void write(long offsetBytes, MemorySegment source) {
        throw new MdevException(Errno.EACCES, "the page of sines is read only");
    }
}
