package dev.mdev.core.device;

import dev.mdev.api.MdevDevice;
import dev.mdev.core.driver.DriverOutcome;
import dev.mdev.core.elastic.ElasticOwner;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/// A device as the pools of its elastic shares see it.
///
/// @param mdev the device
public record ElasticDevice(Mdev mdev) implements ElasticOwner {
    @Override
    public UUID uuid() {
        return mdev.uuid();
    }

    @Override
    public EvictAnswer askToEvict(String pool, List<Long> firstPages, long npages) {
        DriverOutcome<List<Boolean>> outcome =
                mdev.calls()
                        .callAside(
                                "evict", () -> ask(mdev.driver().get(), pool, firstPages, npages));
        return switch (outcome) {
            case DriverOutcome.Returned<List<Boolean>> returned ->
                    new EvictAnswer(returned.value(), Optional.empty());
            case DriverOutcome.Failed<List<Boolean>> failed ->
                    new EvictAnswer(List.of(), Optional.of(failed.refusal()));
        };
    }

    private static List<Boolean> ask(
            MdevDevice device, String pool, List<Long> firstPages, long npages) {
        List<Boolean> accepted = new ArrayList<>();
        firstPages.forEach(first -> accepted.add(device.evict(pool, first, npages)));
        return accepted;
    }

    @Override
    public void revoke(int region, long firstPage, long npages) {
        mdev.mappings().zap(region, firstPage, firstPage + npages);
    }
}
