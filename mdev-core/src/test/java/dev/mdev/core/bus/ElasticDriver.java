package dev.mdev.core.bus;

import dev.mdev.api.Aperture;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.core.support.TestParent;

import java.util.List;
import java.util.function.BiFunction;

/// A driver of cards whose devices have nothing but an elastic share, which the test itself uses.
///
/// @param type the type of every device
/// @param cards the names of the cards
/// @param memory makes a card's memory, by the card's name
record ElasticDriver(
        MdevType type, List<String> cards, BiFunction<ParentHost, String, Aperture> memory)
        implements ParentDriver {
    /// A driver of the card `gpu0`, whose memory is there already.
    ElasticDriver(MdevType type, Aperture memory) {
        this(type, List.of("gpu0"), (_, _) -> memory);
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
                .<ParentDevice>map(card ->
                        new TestParent(card, memory.apply(host, card), type, _ -> new BareDevice()))
                .toList();
    }
}
