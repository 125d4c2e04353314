package dev.mdev.core.bus;

import dev.mdev.api.Aperture;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.SimpleParent;

import java.util.List;
import java.util.function.BiFunction;

/// A driver of cards whose devices have nothing but an elastic share, which the test itself uses.
///
/// @param types what a card has; all demand pages of `vram`
/// @param cards the names of the cards
/// @param memory makes a card's memory, by the card's name
record ElasticDriver(
        List<MdevType> types, List<String> cards, BiFunction<ParentHost, String, Aperture> memory)
        implements ParentDriver {
    /// A driver of the card `gpu0`, whose memory is there already.
    ElasticDriver(MdevType type, Aperture memory) {
        this(List.of(type), List.of("gpu0"), (_, _) -> memory);
    }

    /// The type `elastic`: pages of the pool `vram`, which come and go one by one.
    static MdevType type(long minPages, long maxPages, int maxInstances) {
        return new MdevType(
                "elastic",
                "Elastic",
                "%d to %d pages".formatted(minPages, maxPages),
                MdevType.VFIO_PCI,
                List.of(MdevType.Demand.elastic("vram", minPages, maxPages, 1)),
                maxInstances);
    }

    @Override
    public String name() {
        return "elastic";
    }

    @Override
    public List<ParentDevice> probe(ParentHost host) {
        return cards.stream()
                .<ParentDevice>map(card -> parent(card, memory.apply(host, card)))
                .toList();
    }

    private SimpleParent parent(String card, Aperture aperture) {
        return new SimpleParent(
                card,
                "a card for tests",
                aperture,
                List.of(new ResourcePool("vram", aperture.pfns())),
                types,
                _ -> new BareDevice());
    }
}
