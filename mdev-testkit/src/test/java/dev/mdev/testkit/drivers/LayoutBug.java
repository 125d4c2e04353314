package dev.mdev.testkit.drivers;

import dev.mdev.api.Aperture;
import dev.mdev.api.BarInfo;
import dev.mdev.api.IrqInfo;
import dev.mdev.api.MdevType;
import dev.mdev.api.MsixPlacement;
import dev.mdev.api.PciOptions;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;

import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/// Bugs in a driver's description of itself, its parents and its devices.
@SuppressWarnings("ImmutableEnumChecker") // suppliers of fresh drivers
enum LayoutBug implements SeededBug {
    HAS_A_BAR_OF_EIGHT_BYTES(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public List<RegionInfo> regions() {
                            return List.of(RegionInfo.of(0, "tiny", 8, RegionArea.Kind.TRAPPED));
                        }
                    }),
            "everythingThatIsAvailableCanBeCreated",
            "too small for a BAR"),

    NEEDS_THE_REGISTER_OF_THE_NEXT_BAR(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public List<RegionInfo> regions() {
                            return List.of(
                                    RegionInfo.of(0, "wide", 4096, RegionArea.Kind.TRAPPED)
                                            .withBar(new BarInfo(BarInfo.Width.BITS_64, true)),
                                    RegionInfo.of(1, "next", 4096, RegionArea.Kind.TRAPPED));
                        }
                    }),
            "everythingThatIsAvailableCanBeCreated",
            "upper half"),

    LISTS_CONFIGURATION_SPACE(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public List<RegionInfo> regions() {
                            return List.of(
                                    RegionInfo.of(
                                            RegionInfo.CONFIG,
                                            "config",
                                            256,
                                            RegionArea.Kind.TRAPPED));
                        }
                    }),
            "everythingThatIsAvailableCanBeCreated",
            "is the host's"),

    MAPS_ITS_ROM(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public List<RegionInfo> regions() {
                            return List.of(
                                    RegionInfo.of(
                                            RegionInfo.ROM, "rom", 4096, RegionArea.Kind.LAZY));
                        }
                    }),
            "everythingThatIsAvailableCanBeCreated",
            "ROM is not mapped"),

    HAS_A_ROM_OF_ODD_SIZE(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public List<RegionInfo> regions() {
                            return List.of(
                                    RegionInfo.of(
                                            RegionInfo.ROM, "rom", 3000, RegionArea.Kind.TRAPPED));
                        }
                    }),
            "everythingThatIsAvailableCanBeCreated",
            "not a size of a ROM"),

    HAS_TWO_REGIONS_OF_ONE_INDEX(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public List<RegionInfo> regions() {
                            return List.of(
                                    RegionInfo.of(
                                            MEMORY,
                                            "memory",
                                            Page.bytesOf(share.npages()),
                                            RegionArea.Kind.LAZY),
                                    RegionInfo.of(
                                            MEMORY,
                                            "memory",
                                            Page.bytesOf(share.npages()),
                                            RegionArea.Kind.LAZY));
                        }
                    }),
            "everythingThatIsAvailableCanBeCreated",
            "two regions of one index"),

    HAS_A_BAR_TOO_LARGE_FOR_ITS_REGISTER(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public List<RegionInfo> regions() {
                            return List.of(
                                    RegionInfo.of(5, "large", 1L << 32, RegionArea.Kind.TRAPPED));
                        }
                    }),
            "everythingThatIsAvailableCanBeCreated",
            "too large"),

    PUTS_THE_MSIX_TABLE_INTO_MAPPED_PAGES(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public IrqInfo irqs() {
                            return new IrqInfo(false, 0, 4);
                        }

                        @Override
                        public PciOptions pci() {
                            return new PciOptions(
                                    false,
                                    Optional.of(new MsixPlacement(MEMORY, 0, 2048)),
                                    List.of());
                        }
                    }),
            "everythingThatIsAvailableCanBeCreated",
            "no place for the MSI-X table"),

    PUTS_THE_MSIX_TABLE_INTO_NO_BAR(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public IrqInfo irqs() {
                            return new IrqInfo(false, 0, 4);
                        }

                        @Override
                        public PciOptions pci() {
                            return new PciOptions(
                                    false, Optional.of(new MsixPlacement(4, 0, 2048)), List.of());
                        }
                    }),
            "everythingThatIsAvailableCanBeCreated",
            "no BAR for the MSI-X table"),

    CHANGES_ITS_PCI_OPTIONS(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        private int asked;

                        @Override
                        public PciOptions pci() {
                            return asked++ % 2 == 0 ? PciOptions.DEFAULT : PciOptions.EXPRESS;
                        }
                    }),
            "whatADeviceSaysOfItselfStaysTheSame",
            "pci is"),

    IS_CONCURRENT_NOW_AND_THEN(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        private int asked;

                        @Override
                        public boolean isConcurrent() {
                            return asked++ % 2 == 0;
                        }
                    }),
            "whatADeviceSaysOfItselfStaysTheSame",
            "isConcurrent is"),

    IS_MOVABLE_NOW_AND_THEN(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        private int asked;

                        @Override
                        public boolean isMovable() {
                            return asked++ % 2 == 0;
                        }
                    }),
            "whatADeviceSaysOfItselfStaysTheSame",
            "isMovable is"),

    HAS_A_POOL_THAT_LEAVES_THE_APERTURE(
            () ->
                    new Variant() {
                        @Override
                        List<ResourcePool> pools(Aperture aperture) {
                            return List.of(
                                    new ResourcePool(
                                            "memory",
                                            new PfnRange(
                                                    aperture.pfns().firstPfn(),
                                                    aperture.pfns().npages() + 1)));
                        }
                    },
            "parentsAreWellFormedAndStayTheSame",
            "leaves the aperture"),

    HAS_TWO_POOLS_OF_ONE_NAME(
            () ->
                    new Variant() {
                        @Override
                        List<ResourcePool> pools(Aperture aperture) {
                            long first = aperture.pfns().firstPfn();
                            return List.of(
                                    new ResourcePool("memory", new PfnRange(first, 8)),
                                    new ResourcePool("memory", new PfnRange(first + 8, 8)));
                        }
                    },
            "parentsAreWellFormedAndStayTheSame",
            "two pools have the same name"),

    HAS_A_POOL_WITH_A_BAD_NAME(
            () ->
                    new Variant() {
                        @Override
                        List<ResourcePool> pools(Aperture aperture) {
                            return List.of(new ResourcePool("Main memory", aperture.pfns()));
                        }
                    },
            "parentsAreWellFormedAndStayTheSame",
            "not the name of a pool"),

    HAS_TWO_TYPES_OF_ONE_ID(
            () ->
                    new Variant() {
                        @Override
                        List<MdevType> types() {
                            return List.of(super.types().getFirst(), super.types().getFirst());
                        }
                    },
            "parentsAreWellFormedAndStayTheSame",
            "two types of one id"),

    HAS_A_TYPE_WITH_A_BAD_ID(
            () ->
                    new Variant() {
                        @Override
                        List<MdevType> types() {
                            return List.of(
                                    type(
                                            "eight pages",
                                            new MdevType.Demand("memory", 8, 2, false)));
                        }
                    },
            "parentsAreWellFormedAndStayTheSame",
            "not the id of a type"),

    HAS_NO_TYPES(
            () ->
                    new Variant() {
                        @Override
                        List<MdevType> types() {
                            return List.of();
                        }
                    },
            "parentsAreWellFormedAndStayTheSame",
            "has no types"),

    DEMANDS_OF_NO_POOL(
            () ->
                    new Variant() {
                        @Override
                        List<MdevType> types() {
                            return List.of(
                                    type(
                                            "variant-8",
                                            new MdevType.Demand("doorbells", 1, 1, false)));
                        }
                    },
            "parentsAreWellFormedAndStayTheSame",
            "has not"),

    DEMANDS_TWICE_OF_ONE_POOL(
            () ->
                    new Variant() {
                        @Override
                        List<MdevType> types() {
                            MdevType.Demand demand = new MdevType.Demand("memory", 4, 2, false);
                            return List.of(type("variant-8", demand, demand));
                        }
                    },
            "parentsAreWellFormedAndStayTheSame",
            "demands twice"),

    DESCRIBES_ITSELF_AT_LENGTH(
            () ->
                    new Variant() {
                        @Override
                        String description() {
                            return "very ".repeat(100) + "long";
                        }
                    },
            "parentsAreWellFormedAndStayTheSame",
            "characters"),

    NAMES_ITS_DEVICE_API_AT_LENGTH(
            () ->
                    new Variant() {
                        @Override
                        List<MdevType> types() {
                            MdevType type = super.types().getFirst();
                            return List.of(
                                    new MdevType(
                                            type.id(),
                                            type.name(),
                                            type.description(),
                                            "x".repeat(7_000_000),
                                            type.demands(),
                                            type.maxInstances()));
                        }
                    },
            "parentsAreWellFormedAndStayTheSame",
            "device API of type=variant-8 has 7000000 characters"),

    NAMES_A_REGION_AT_LENGTH(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public List<RegionInfo> regions() {
                            return List.of(
                                    RegionInfo.of(
                                            MEMORY,
                                            "x".repeat(7_000_000),
                                            Page.bytesOf(share.npages()),
                                            RegionArea.Kind.LAZY));
                        }
                    }),
            "everythingThatIsAvailableCanBeCreated",
            "name of region=0 has 7000000 characters"),

    HAS_A_BAD_PARENT_NAME(
            () ->
                    new Variant() {
                        @Override
                        String parentName() {
                            return "a card";
                        }
                    },
            "parentsAreWellFormedAndStayTheSame",
            "not the name of a parent"),

    HAS_A_BAD_NAME(
            () ->
                    new Variant() {
                        @Override
                        public String name() {
                            return "Variant 1";
                        }
                    },
            "theDriverHasAStableName",
            "driver name=");

    private final Supplier<Variant> driver;
    private final String test;
    private final String says;

    LayoutBug(Supplier<Variant> driver, String test, String says) {
        this.driver = driver;
        this.test = test;
        this.says = says;
    }

    @Override
    public Variant newDriver() {
        return driver.get();
    }

    @Override
    public String foundBy() {
        return test;
    }

    @Override
    public String says() {
        return says;
    }
}
