package dev.mdev.testkit;

import dev.mdev.api.Aperture;
import dev.mdev.api.page.Caching;
import dev.mdev.api.page.PfnRange;

import java.lang.foreign.MemorySegment;
import java.util.Optional;

/// The aperture as a driver gets it: it may fail where the guest's own accesses succeed.
record DriverAperture(SparseAperture memory, FaultInjector faults) implements Aperture {
    @Override
    public PfnRange pfns() {
        return memory.pfns();
    }

    @Override
    public Optional<Caching> cachingOf(PfnRange range) {
        return memory.cachingOf(range);
    }

    @Override
    public void read(long offsetBytes, MemorySegment destination) {
        faults.check(FaultInjector.Site.APERTURE_READ);
        memory.read(offsetBytes, destination);
    }

    @Override
    public void write(long offsetBytes, MemorySegment source) {
        faults.check(FaultInjector.Site.APERTURE_WRITE);
        memory.write(offsetBytes, source);
    }

    @Override
    public void fill(long offsetBytes, long lengthBytes, byte value) {
        faults.check(FaultInjector.Site.APERTURE_WRITE);
        memory.fill(offsetBytes, lengthBytes, value);
    }
}
