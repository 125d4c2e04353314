package dev.mdev.pcisplit;

import dev.mdev.api.Aperture;
import dev.mdev.api.FilePages;
import dev.mdev.api.ParentHost;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.pcisplit.description.Description;
import dev.mdev.pcisplit.description.Description.Pool;
import dev.mdev.pcisplit.description.Description.RegisterPlace;
import dev.mdev.pcisplit.function.PciFunction;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// The pages of a function that a description uses, and no others, as one aperture: the pools in
/// their order, then the pages with registers that the driver itself reads and writes.
final class FunctionMemory {
    private final Aperture aperture;
    private final List<ResourcePool> pools;
    private final Map<RegisterPage, Long> registerOffsets;

    /// A page of one of the function's BARs.
    private record RegisterPage(int bar, long offsetBytes) {}

    private FunctionMemory(
            Aperture aperture, List<ResourcePool> pools, Map<RegisterPage, Long> registerOffsets) {
        this.aperture = aperture;
        this.pools = pools;
        this.registerOffsets = registerOffsets;
    }

    /// @throws dev.mdev.api.MdevException if the host cannot map the files
    static FunctionMemory map(Description description, PciFunction function, ParentHost host) {
        List<FilePages> parts = new ArrayList<>();
        for (Pool pool : description.pools()) {
            parts.add(
                    function.pages(
                            pool.bar(),
                            pool.combinesWrites(),
                            pool.offsetBytes(),
                            pool.sizeBytes()));
        }
        Set<RegisterPage> pages = registerPagesOf(description);
        pages.forEach(
                page -> parts.add(function.pages(page.bar, false, page.offsetBytes, Page.SIZE)));
        Aperture aperture = host.mapAperture(description.name(), parts);

        long next = 0;
        List<ResourcePool> pools = new ArrayList<>();
        for (Pool pool : description.pools()) {
            long npages = Page.numberOf(pool.sizeBytes());
            PfnRange pfns = new PfnRange(aperture.pfns().firstPfn() + next, npages);
            pools.add(new ResourcePool(pool.name(), pfns, pool.holdsContent()));
            next += npages;
        }
        Map<RegisterPage, Long> offsets = new LinkedHashMap<>();
        for (RegisterPage page : pages) {
            offsets.put(page, Page.addressOf(next));
            next++;
        }
        return new FunctionMemory(aperture, List.copyOf(pools), offsets);
    }

    private static Set<RegisterPage> registerPagesOf(Description description) {
        Set<RegisterPage> pages = new LinkedHashSet<>();
        description
                .types()
                .forEach(type -> {
                    type.passedPages()
                            .forEach(page ->
                                    pages.add(new RegisterPage(page.bar(), page.offsetBytes())));
                    type.interrupts().stream()
                            .flatMap(source -> source.registers().stream())
                            .forEach(place ->
                                    pages.add(
                                            new RegisterPage(
                                                    place.bar(),
                                                    Page.baseOf(place.offsetBytes()))));
                    type.reset()
                            .writes()
                            .forEach(write ->
                                    pages.add(
                                            new RegisterPage(
                                                    write.bar(),
                                                    Page.baseOf(write.offsetBytes()))));
                });
        return pages;
    }

    Aperture aperture() {
        return aperture;
    }

    List<ResourcePool> pools() {
        return pools;
    }

    /// Loads a register.
    long load(RegisterPlace place) {
        return aperture.load(offsetOf(place.bar(), place.offsetBytes()), place.widthBytes());
    }

    /// Stores to a register.
    void store(RegisterPlace place, long value) {
        aperture.store(offsetOf(place.bar(), place.offsetBytes()), place.widthBytes(), value);
    }

    /// Where a register is in the aperture.
    ///
    /// @param offsetBytes in the BAR, on one of the pages that the description names
    long offsetOf(int bar, long offsetBytes) {
        Long page = registerOffsets.get(new RegisterPage(bar, Page.baseOf(offsetBytes)));
        if (page == null) {
            throw new IllegalArgumentException(
                    "bar=%d offsetBytes=0x%x".formatted(bar, offsetBytes));
        }
        return page + Page.offsetOf(offsetBytes);
    }
}
