package dev.mdev.testkit.drivers;

import dev.mdev.api.Aperture;
import dev.mdev.api.DoorbellInfo;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;

import java.util.List;
import java.util.function.Supplier;

/// Bugs of devices with a doorbell.
@SuppressWarnings("ImmutableEnumChecker") // suppliers of fresh drivers
enum DoorbellBug implements SeededBug {
    HAS_WORK_FOR_EVER(
            Variant.of((aperture, context) ->
                    new Ringing(aperture, context) {
                        @Override
                        public DoorbellInfo.Answer rung(int doorbell) {
                            return DoorbellInfo.Answer.AGAIN;
                        }
                    }),
            "everyRingOfADoorbellComesToAnEnd",
            "rung has answered AGAIN"),

    BLOCKS_WHEN_RUNG(
            Variant.of((aperture, context) ->
                    new Ringing(aperture, context) {
                        @Override
                        public DoorbellInfo.Answer rung(int doorbell) {
                            Variant.waitForEver();
                            return DoorbellInfo.Answer.DONE;
                        }
                    }),
            "everyRingOfADoorbellComesToAnEnd",
            "rung"),

    THROWS_WHEN_RUNG(
            Variant.of((aperture, context) ->
                    new Ringing(aperture, context) {
                        @Override
                        public DoorbellInfo.Answer rung(int doorbell) {
                            throw new IllegalStateException("no work");
                        }
                    }),
            "everyRingOfADoorbellComesToAnEnd",
            "rung 0 threw"),

    BELIEVES_ITS_DOORBELL_STILL_MAPPED_AFTER_A_SAVE(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        // Whether page 0, where the guest rings, is mapped.
                        private boolean mapped;

                        @Override
                        public MapDecision validateMapRequest(MapRequest request) {
                            if (request.page() == 0) {
                                if (mapped) {
                                    return new MapDecision.Deny("the doorbell is mapped");
                                }
                                mapped = true;
                            }
                            return super.validateMapRequest(request);
                        }

                        @Override
                        public void reset() {
                            super.reset();
                            mapped = false;
                        }
                    }),
            "stateMovesToAnotherDevice",
            "the doorbell is mapped"),

    HAS_A_DOORBELL_ON_A_PAGE_OF_MEMORY(
            Variant.of((aperture, context) ->
                    new Ringing(aperture, context) {
                        @Override
                        public List<DoorbellInfo> doorbells() {
                            return List.of(new DoorbellInfo(0, 0, 4));
                        }
                    }),
            "everythingThatIsAvailableCanBeCreated",
            "a doorbell on a mapped area"),

    HAS_A_DOORBELL_AT_TIMES(
            Variant.of((aperture, context) ->
                    new Ringing(aperture, context) {
                        private boolean there;

                        @Override
                        public List<DoorbellInfo> doorbells() {
                            there = !there;
                            return there ? super.doorbells() : List.of();
                        }
                    }),
            "whatADeviceSaysOfItselfStaysTheSame",
            "doorbells is");

    private final Supplier<Variant> driver;
    private final String foundBy;
    private final String says;

    DoorbellBug(Supplier<Variant> driver, String foundBy, String says) {
        this.driver = driver;
        this.foundBy = foundBy;
        this.says = says;
    }

    /// A device whose doorbell rings for nothing.
    private static class Ringing extends Variant.VariantDevice {
        Ringing(Aperture aperture, MdevContext context) {
            super(aperture, context);
        }

        @Override
        public List<DoorbellInfo> doorbells() {
            return List.of(new DoorbellInfo(2, 0x800, 4));
        }
    }

    @Override
    public Variant newDriver() {
        return driver.get();
    }

    @Override
    public String foundBy() {
        return foundBy;
    }

    @Override
    public String says() {
        return says;
    }
}
