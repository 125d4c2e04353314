package dev.mdev.core.elastic;

import dev.mdev.api.Refusal;

import java.util.List;
import java.util.Optional;
import java.util.UUID;

/// The device of an elastic share, as its pool sees it. Called without a lock of the pool, by any
/// thread.
public interface ElasticOwner {
    UUID uuid();

    /// Asks the device's driver whether it gives units up. Returns within the deadline of a
    /// callback.
    ///
    /// @param firstPages the first page of each unit
    EvictAnswer askToEvict(String pool, List<Long> firstPages, long npages);

    /// Revokes what guests have mapped of these pages of a region. When this returns, no earlier
    /// access still uses them. Pages outside the region are ignored.
    void revoke(int region, long firstPage, long npages);

    /// The answer of a driver.
    ///
    /// @param accepted for each unit, in order, whether it may go
    /// @param trouble why the driver gave no answer, if it did not: then nothing may go
    record EvictAnswer(List<Boolean> accepted, Optional<Refusal> trouble) {
        public EvictAnswer {
            accepted = List.copyOf(accepted);
        }
    }
}
