package dev.mdev.gpu;

import dev.mdev.api.Aperture;
import dev.mdev.api.LinearMemory;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevType;
import dev.mdev.api.PoolShare;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;

/// One device's VRAM: its content, and the mapping of an accessed page of BAR 0. Any thread may
/// call all methods.
interface Vram extends LinearMemory {
    /// The VRAM that a device's type demands.
    static Vram of(Aperture aperture, MdevContext context, GpuSettings settings) {
        boolean elastic = context.type().demands().stream().anyMatch(MdevType.Demand::isElastic);
        return elastic
                ? new ElasticVram(context.elastic(GpuParent.VRAM), settings)
                : new FixedVram(aperture, context.share(GpuParent.VRAM), settings);
    }

    static MapDecision pastTheEnd(long page) {
        return new MapDecision.Deny("page=0x%x is past the end of VRAM".formatted(page));
    }

    long sizeBytes();

    /// Whether the host may take pages away.
    default boolean isElastic() {
        return false;
    }

    /// The bytes that the device has at any moment.
    default long guaranteedBytes() {
        return sizeBytes();
    }

    /// Whether these bytes can be copied without waiting for another device. If not, they are on
    /// their way: ask again.
    default boolean isNear(long offsetBytes, long lengthBytes) {
        return true;
    }

    /// A look at the content that leaves everything where it is.
    default void peek(long offsetBytes, MemorySegment destination) {
        read(offsetBytes, destination);
    }

    /// Sets bytes to zero. Pages without content stay untouched.
    void clear(long offsetBytes, long lengthBytes);

    /// The answer to a guest's access to BAR 0.
    MapDecision decide(MapRequest request);

    /// Switches to other pages, which have the content of the old ones. The guest has no mapping
    /// and the engine is stopped.
    default void moveTo(List<PoolShare> shares) {}

    /// Returns to the state after creation. The guest has no mapping and the engine is stopped.
    default void reset() {}

    default void save(DataOutput out) throws IOException {}

    default void restore(DataInput in) throws IOException {}

    default Map<String, Long> counters() {
        return Map.of();
    }
}
