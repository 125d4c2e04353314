package dev.mdev.testkit.drivers;

import dev.mdev.api.Aperture;
import dev.mdev.api.ExistingDevice;
import dev.mdev.api.IrqInfo;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.PoolShare;
import dev.mdev.api.page.PfnRange;

import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.function.Supplier;

/// Bugs in how devices come, are saved, and are handed over.
@SuppressWarnings("ImmutableEnumChecker") // suppliers of fresh drivers
enum LifeBug implements SeededBug {
    ENDS_WITH_ITS_FIRST_HOLDER(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        private boolean over;

                        @Override
                        public void assigned(boolean held) {
                            over |= !held;
                        }

                        @Override
                        public MapDecision validateMapRequest(MapRequest request) {
                            return over
                                    ? new MapDecision.Deny("it is over")
                                    : super.validateMapRequest(request);
                        }
                    }),
            "theNextHolderGetsADeviceLikeTheFirst",
            "can store to 0 pages"),

    NEVER_COMES_TO_REST(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public CompletionStage<Void> quiesce() {
                            return new CompletableFuture<>();
                        }
                    }),
            "stateMovesToAnotherDevice",
            "quiesce has not completed"),

    KEEPS_WHAT_THE_HOST_CLEARED(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public boolean clearedByHost() {
                            return true;
                        }

                        @Override
                        void clearMemory() {
                            aperture.fill(aperture.offsetOf(share.pfnOf(0)), 8, (byte) 1);
                        }
                    }),
            "resetBringsBackTheFirstState",
            "holds 0x101010101010101 after a reset"),

    LETS_THE_HOST_CLEAR_AT_TIMES(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        private boolean cleared;

                        @Override
                        public boolean clearedByHost() {
                            cleared = !cleared;
                            return cleared;
                        }
                    }),
            "whatADeviceSaysOfItselfStaysTheSame",
            "clearedByHost is"),

    TELLS_THE_NEXT_HOLDER(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        private byte left;

                        @Override
                        public void assigned(boolean held) {
                            if (held) {
                                scratch[0] = left;
                            } else {
                                left = scratch[0];
                            }
                        }
                    }),
            "theNextHolderGetsADeviceLikeTheFirst",
            "registers of the next holder differ"),

    REVOKES_BEFORE_THERE_IS_A_DEVICE(
            () ->
                    new Variant() {
                        @Override
                        MdevDevice create(Aperture aperture, MdevContext context) {
                            context.revoke(0, 0, 1);
                            return super.create(aperture, context);
                        }
                    },
            "everythingThatIsAvailableCanBeCreated",
            "before there is a device"),

    LEAVES_BYTES_OF_ITS_STATE(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public void save(DataOutput out) throws IOException {
                            super.save(out);
                            out.writeInt(1);
                        }
                    }),
            "stateMovesToAnotherDevice",
            "refused its own state"),

    REFUSES_ITS_OWN_STATE(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public int version() {
                            return 2;
                        }
                    }),
            "stateMovesToAnotherDevice",
            "refused its own state"),

    RAISES_A_LINE_IT_HAS_NOT(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public void write(
                                int region, long offsetBytes, int widthBytes, long value) {
                            context.interrupts().setLine(true);
                        }
                    }),
            "registersBearAnyWidthAtAnyOffset",
            "without a line"),

    TRIGGERS_A_VECTOR_IT_HAS_NOT(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public IrqInfo irqs() {
                            return new IrqInfo(false, 0, 2);
                        }

                        @Override
                        public void write(
                                int region, long offsetBytes, int widthBytes, long value) {
                            context.interrupts().trigger(2);
                        }
                    }),
            "registersBearAnyWidthAtAnyOffset",
            "vector=2"),

    TELLS_OF_DEVICES_THE_HOST_MADE(
            () ->
                    new Variant() {
                        private final List<ExistingDevice> all = new ArrayList<>();

                        @Override
                        List<ExistingDevice> existing(Aperture aperture) {
                            return List.copyOf(all);
                        }

                        @Override
                        MdevDevice create(Aperture aperture, MdevContext context) {
                            all.add(
                                    new ExistingDevice(
                                            context.uuid(), context.type().id(), context.share()));
                            return super.create(aperture, context);
                        }
                    },
            "existingDevicesAreSoundAndKeepTheirContent",
            "that the host made"),

    HAS_A_DEVICE_OUTSIDE_ITS_POOL(
            () ->
                    new Variant() {
                        @Override
                        List<ExistingDevice> existing(Aperture aperture) {
                            return List.of(
                                    new ExistingDevice(
                                            Ids.FOUND,
                                            "variant-8",
                                            List.of(
                                                    new PoolShare(
                                                            "memory",
                                                            List.of(
                                                                    new PfnRange(
                                                                            aperture.pfns()
                                                                                            .firstPfn()
                                                                                    + 28,
                                                                            8))))));
                        }
                    },
            "existingDevicesAreSoundAndKeepTheirContent",
            "leave the pool"),

    HAS_A_DEVICE_OF_ANOTHER_SIZE(
            () ->
                    new Variant() {
                        @Override
                        List<ExistingDevice> existing(Aperture aperture) {
                            return List.of(
                                    new ExistingDevice(
                                            Ids.FOUND,
                                            "variant-8",
                                            List.of(
                                                    new PoolShare(
                                                            "memory",
                                                            List.of(
                                                                    new PfnRange(
                                                                            aperture.pfns()
                                                                                    .firstPfn(),
                                                                            4))))));
                        }
                    },
            "existingDevicesAreSoundAndKeepTheirContent",
            "do not fit its type"),

    HAS_TWO_DEVICES_IN_ONE_PLACE(
            () ->
                    new Variant() {
                        @Override
                        List<ExistingDevice> existing(Aperture aperture) {
                            return adopted
                                    ? List.of()
                                    : List.of(
                                            new ExistingDevice(
                                                    Ids.FOUND,
                                                    "variant-8",
                                                    List.of(
                                                            new PoolShare(
                                                                    "memory",
                                                                    List.of(
                                                                            new PfnRange(
                                                                                    aperture.pfns()
                                                                                                    .firstPfn()
                                                                                            + 0,
                                                                                    8))))),
                                            new ExistingDevice(
                                                    Ids.OTHER,
                                                    "variant-8",
                                                    List.of(
                                                            new PoolShare(
                                                                    "memory",
                                                                    List.of(
                                                                            new PfnRange(
                                                                                    aperture.pfns()
                                                                                                    .firstPfn()
                                                                                            + 4,
                                                                                    8))))));
                        }

                        private boolean adopted;

                        @Override
                        MdevDevice adopt(Aperture aperture, MdevContext context) {
                            adopted = true;
                            return super.adopt(aperture, context);
                        }
                    },
            "existingDevicesAreSoundAndKeepTheirContent",
            "another's"),

    HAS_TWO_DEVICES_OF_ONE_NAME(
            () ->
                    new Variant() {
                        private final List<UUID> gone = new ArrayList<>();

                        @Override
                        List<ExistingDevice> existing(Aperture aperture) {
                            return List.of(
                                            new ExistingDevice(
                                                    Ids.FOUND,
                                                    "variant-8",
                                                    List.of(
                                                            new PoolShare(
                                                                    "memory",
                                                                    List.of(
                                                                            new PfnRange(
                                                                                    aperture.pfns()
                                                                                                    .firstPfn()
                                                                                            + 0,
                                                                                    8))))),
                                            new ExistingDevice(
                                                    Ids.FOUND,
                                                    "variant-8",
                                                    List.of(
                                                            new PoolShare(
                                                                    "memory",
                                                                    List.of(
                                                                            new PfnRange(
                                                                                    aperture.pfns()
                                                                                                    .firstPfn()
                                                                                            + 8,
                                                                                    8))))))
                                    .subList(gone.size(), 2);
                        }

                        @Override
                        MdevDevice adopt(Aperture aperture, MdevContext context) {
                            gone.add(context.uuid());
                            return super.adopt(aperture, context);
                        }
                    },
            "existingDevicesAreSoundAndKeepTheirContent",
            ""),

    CLEARS_WHAT_IT_HANDS_OVER(
            () ->
                    new Variant() {
                        private boolean adopted;

                        @Override
                        List<ExistingDevice> existing(Aperture aperture) {
                            aperture.fill(0, adopted ? 0 : 8, (byte) 5);
                            return adopted
                                    ? List.of()
                                    : List.of(
                                            new ExistingDevice(
                                                    Ids.FOUND,
                                                    "variant-8",
                                                    List.of(
                                                            new PoolShare(
                                                                    "memory",
                                                                    List.of(
                                                                            new PfnRange(
                                                                                    aperture.pfns()
                                                                                                    .firstPfn()
                                                                                            + 0,
                                                                                    8))))));
                        }

                        @Override
                        MdevDevice adopt(Aperture aperture, MdevContext context) {
                            adopted = true;
                            aperture.fill(0, 8, (byte) 0);
                            return super.adopt(aperture, context);
                        }
                    },
            "existingDevicesAreSoundAndKeepTheirContent",
            "changed the content"),

    TELLS_OF_A_DEVICE_THAT_WAS_ADOPTED(
            () ->
                    new Variant() {
                        @Override
                        List<ExistingDevice> existing(Aperture aperture) {
                            return List.of(
                                    new ExistingDevice(
                                            Ids.FOUND,
                                            "variant-8",
                                            List.of(
                                                    new PoolShare(
                                                            "memory",
                                                            List.of(
                                                                    new PfnRange(
                                                                            aperture.pfns()
                                                                                            .firstPfn()
                                                                                    + 0,
                                                                            8))))));
                        }
                    },
            "existingDevicesAreSoundAndKeepTheirContent",
            "told of still");

    private static final class Ids {
        static final UUID FOUND = new UUID(1, 1);
        static final UUID OTHER = new UUID(1, 2);
    }

    private final Supplier<Variant> driver;
    private final String test;
    private final String says;

    LifeBug(Supplier<Variant> driver, String test, String says) {
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
