package dev.mdev.pcisplit;

import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.RegionArea;
import dev.mdev.api.ShareMemory;
import dev.mdev.api.page.Caching;
import dev.mdev.api.page.Page;
import dev.mdev.api.register.RegisterFile;
import dev.mdev.pcisplit.description.Description.Area;
import dev.mdev.pcisplit.description.Description.FixedArea;
import dev.mdev.pcisplit.description.Description.PassedPage;
import dev.mdev.pcisplit.description.Description.SharedArea;

import java.util.Optional;

/// A part of a device's BAR, and what is behind it.
sealed interface DeviceArea {
    /// What the description says of it.
    Area area();

    /// A guest's load.
    ///
    /// @param offsetBytes in the area
    long load(long offsetBytes, int widthBytes);

    /// A guest's store; otherwise as [#load].
    void store(long offsetBytes, int widthBytes, long value);

    /// How guests map it, if they do.
    default Optional<RegionArea> mapped() {
        return Optional.empty();
    }

    /// The answer to a fault in the area.
    default MapDecision decide(MapRequest request) {
        return new MapDecision.Trap();
    }

    /// Returns what a guest can change to the value of a reset, except for memory.
    default void reset() {}

    /// Accesses that the description does not allow.
    default long refused() {
        return 0;
    }

    /// Where it begins in the BAR.
    default long atBytes() {
        return area().atBytes();
    }

    /// Whether all bytes of an access are in it.
    default boolean contains(long offsetBytes, int widthBytes) {
        return offsetBytes >= atBytes() && offsetBytes <= area().endBytes() - widthBytes;
    }

    static DeviceArea of(Area area, SplitParent parent, MdevContext context) {
        return switch (area) {
            case SharedArea shared ->
                    new Share(
                            shared,
                            ShareMemory.inOrder(
                                    parent.memory().aperture(), context.share(shared.pool())),
                            parent.cachingOf(shared.pool()));
            case FixedArea fixed -> new Fixed(fixed, constants(fixed));
            case PassedPage page ->
                    new Passed(
                            page,
                            new PassedRegisters(
                                    parent.memory().aperture(),
                                    parent.memory().offsetOf(page.bar(), page.offsetBytes()),
                                    page,
                                    parent::requireAnswer));
        };
    }

    private static RegisterFile constants(FixedArea fixed) {
        RegisterFile registers = new RegisterFile();
        fixed.values()
                .forEach((offset, value) -> {
                    var _ =
                            registers.constant(
                                    offset, Integer.BYTES, Integer.toUnsignedLong(value));
                });
        return registers;
    }

    /// The device's share of a pool, in the order of its pages.
    ///
    /// @param caching how the description says that the pool is mapped
    record Share(SharedArea area, ShareMemory memory, Caching caching) implements DeviceArea {
        @Override
        public long load(long offsetBytes, int widthBytes) {
            return memory.load(offsetBytes, widthBytes);
        }

        @Override
        public void store(long offsetBytes, int widthBytes, long value) {
            memory.store(offsetBytes, widthBytes, value);
        }

        @Override
        public Optional<RegionArea> mapped() {
            RegionArea.Kind kind = area.isEager() ? RegionArea.Kind.EAGER : RegionArea.Kind.LAZY;
            return Optional.of(
                    new RegionArea(area.atBytes(), area.sizeBytes(), kind, area.aheadPages()));
        }

        @Override
        public MapDecision decide(MapRequest request) {
            long shift = Page.numberOf(area.atBytes());
            MapRequest inShare =
                    new MapRequest(
                            request.region(),
                            request.page() - shift,
                            Math.max(0, request.firstPage() - shift),
                            Math.min(memory.npages(), request.endPage() - shift),
                            request.access(),
                            request.reason());
            long most = area.isEager() ? memory.npages() : Math.max(1, area.aheadPages());
            MapDecision.Grant grant = memory.grant(inShare, most, area.prot());
            return new MapDecision.Grant(
                    grant.firstPage() + shift, grant.pfns(), grant.prot(), Optional.of(caching));
        }
    }

    /// Values that never change.
    record Fixed(FixedArea area, RegisterFile registers) implements DeviceArea {
        @Override
        public long load(long offsetBytes, int widthBytes) {
            return registers.read((int) offsetBytes, widthBytes);
        }

        @Override
        public void store(long offsetBytes, int widthBytes, long value) {
            // Nothing can be stored.
        }
    }

    /// Registers of the function.
    record Passed(PassedPage area, PassedRegisters registers) implements DeviceArea {
        @Override
        public long load(long offsetBytes, int widthBytes) {
            return registers.read((int) offsetBytes, widthBytes);
        }

        @Override
        public void store(long offsetBytes, int widthBytes, long value) {
            registers.write((int) offsetBytes, widthBytes, value);
        }

        @Override
        public void reset() {
            registers.reset();
        }

        @Override
        public long refused() {
            return registers.refused();
        }
    }
}
