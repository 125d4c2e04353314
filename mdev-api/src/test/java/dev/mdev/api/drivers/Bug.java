package dev.mdev.api.drivers;

import dev.mdev.api.Aperture;
import dev.mdev.api.Errno;
import dev.mdev.api.GuestMemory;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.PoolShare;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

import org.jspecify.annotations.Nullable;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.function.BiFunction;
import java.util.function.Supplier;

/// Drivers with one bug each, and the tests of the conformance suite that have to find it.
@SuppressWarnings("ImmutableEnumChecker") // suppliers of fresh drivers
enum Bug {
    GRANTS_MORE_THAN_ITS_SHARE(
            Device.with((d, request) -> {
                PfnRange run = d.share.runFrom(request.page());
                long npages = Math.min(run.npages() + 1, request.endPage() - request.page());
                return new MapDecision.Grant(
                        request.page(), new PfnRange(run.firstPfn(), npages), Prot.READ_WRITE);
            }),
            "grantsKeepToTheShareTheWindowAndTheRights"),

    GRANTS_OUTSIDE_THE_WINDOW(
            Device.with((d, request) ->
                    new MapDecision.Grant(
                            request.page(), d.share.runFrom(request.page()), Prot.READ_WRITE)),
            "grantsKeepToTheShareTheWindowAndTheRights"),

    GRANTS_NEXT_TO_THE_TOUCHED_PAGE(
            Device.with((d, request) -> {
                long page = Math.max(0, request.page() - 1);
                return new MapDecision.Grant(page, new PfnRange(d.pfnOf(page), 1), Prot.READ_WRITE);
            }),
            "grantsKeepToTheShareTheWindowAndTheRights"),

    GRANTS_NO_WRITE_FOR_STORES(
            Device.with((d, request) ->
                    MapDecision.grantPage(request, d.pfnOf(request.page()), Prot.READ)),
            "grantsKeepToTheShareTheWindowAndTheRights"),

    GRANTS_A_PAGE_OF_ANOTHER_DEVICE(
            () ->
                    new Variant() {
                        private final List<PoolShare> all = new ArrayList<>();

                        @Override
                        MdevDevice create(Aperture aperture, MdevContext context) {
                            all.add(context.share("memory"));
                            return new Device(
                                    aperture,
                                    context,
                                    (d, request) ->
                                            MapDecision.grantPage(
                                                    request,
                                                    all.getFirst()
                                                            .runFrom(request.page())
                                                            .firstPfn(),
                                                    Prot.READ_WRITE));
                        }
                    },
            "devicesDoNotShareContent"),

    GRANTS_ONE_PAGE_TWICE(
            Device.with((d, request) ->
                    MapDecision.grantPage(request, d.pfnOf(request.page() & ~1L), Prot.READ_WRITE)),
            "twoPagesAreNeverOnePhysicalPage"),

    MOVES_PAGES_WITHOUT_REVOKING(
            Device.with((d, request) ->
                    MapDecision.grantPage(
                            request,
                            d.pfnOf(request.page() ^ (d.scratch[0] & 1)),
                            Prot.READ_WRITE)),
            "aMappedPageKeepsItsPhysicalPage"),

    ANSWERS_WITH_A_STALE_PAGE_AFTER_REVOKE(
            () ->
                    new Variant() {
                        @Override
                        MdevDevice create(Aperture aperture, MdevContext context) {
                            // Hands pages out in the order they are touched, and again after a
                            // revocation.
                            long[] next = new long[1];
                            Map<Long, Long> table = new HashMap<>();
                            return new Device(
                                    aperture,
                                    context,
                                    (d, request) -> {
                                        if (request.reason() == MapRequest.Reason.AFTER_REVOKE) {
                                            table.remove(request.page());
                                        }
                                        long index =
                                                table.computeIfAbsent(
                                                        request.page(),
                                                        page -> next[0]++ % PAGES_A_DEVICE);
                                        return MapDecision.grantPage(
                                                request, d.pfnOf(index), Prot.READ_WRITE);
                                    });
                        }
                    },
            "whatWasStoredIsThereAfterARevocation"),

    TAKES_AN_ANSWER_FOR_A_MAPPING(
            () ->
                    new Variant() {
                        @Override
                        MdevDevice create(Aperture aperture, MdevContext context) {
                            Set<Long> mapped = new HashSet<>();
                            return new Device(
                                    aperture,
                                    context,
                                    (d, request) ->
                                            mapped.add(request.page())
                                                            || request.reason()
                                                                    == MapRequest.Reason
                                                                            .AFTER_REVOKE
                                                    ? d.rightAnswer(request)
                                                    : new MapDecision.Deny("it is mapped"));
                        }
                    },
            "anAnswerThatARevocationOvertookIsGivenAgain"),

    REVOKES_WHAT_IT_GRANTS(
            Device.with((d, request) -> {
                d.context.revoke(request.region(), request.page(), 1);
                return d.rightAnswer(request);
            }),
            "grantsKeepToTheShareTheWindowAndTheRights"),

    RETURNS_NULL(
            Device.with((d, request) -> Bug.nothing()),
            "grantsKeepToTheShareTheWindowAndTheRights"),

    BLOCKS_IN_A_FAULT(
            Device.with((d, request) -> {
                waitForEver();
                return d.rightAnswer(request);
            }),
            "grantsKeepToTheShareTheWindowAndTheRights"),

    BLOCKS_IN_A_REGISTER(
            deviceWith((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public long read(int region, long offsetBytes, int widthBytes) {
                            if (offsetBytes == 64) {
                                waitForEver();
                            }
                            return super.read(region, offsetBytes, widthBytes);
                        }
                    }),
            "registersBearAnyWidthAtAnyOffset"),

    THROWS_AT_THE_END_OF_THE_PAGE(
            deviceWith((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public long read(int region, long offsetBytes, int widthBytes) {
                            int words = Page.SIZE / Long.BYTES;
                            long[] registers = new long[words];
                            return registers[(int) (offsetBytes + widthBytes) / 8];
                        }
                    }),
            "registersBearAnyWidthAtAnyOffset"),

    SHARES_A_REGISTER_AMONG_DEVICES(
            () ->
                    new Variant() {
                        private final byte[] shared = new byte[Long.BYTES];

                        @Override
                        MdevDevice create(Aperture aperture, MdevContext context) {
                            return new VariantDevice(aperture, context) {
                                @Override
                                public long read(int region, long offsetBytes, int widthBytes) {
                                    return shared[0] & 0xFF;
                                }

                                @Override
                                public void write(
                                        int region, long offsetBytes, int widthBytes, long value) {
                                    shared[0] ^= (byte) (value | 1);
                                }
                            };
                        }
                    },
            "anotherDevicesEndIsNotNoticed"),

    FORGETS_A_REGISTER_AT_RESET(
            deviceWith((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public void reset() {
                            clearMemory();
                        }
                    }),
            "resetBringsBackTheFirstState"),

    FORGETS_MEMORY_AT_RESET(
            deviceWith((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public void reset() {
                            clearScratch();
                        }
                    }),
            "resetBringsBackTheFirstState"),

    STAYS_BUSY_AFTER_A_FAILURE(
            deviceWith((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        private boolean busy;

                        @Override
                        public void write(
                                int region, long offsetBytes, int widthBytes, long value) {
                            if (busy) {
                                return;
                            }
                            busy = true;
                            aperture.write(0, MemorySegment.ofArray(new byte[0]));
                            super.write(region, offsetBytes, widthBytes, value);
                            busy = false;
                        }

                        @Override
                        public long read(int region, long offsetBytes, int widthBytes) {
                            return busy ? 0xFF : super.read(region, offsetBytes, widthBytes);
                        }

                        @Override
                        void clearScratch() {
                            super.write(REGISTERS, 0, Long.BYTES, 0);
                        }
                    }),
            "failuresOfTheHostAreSurvived"),

    KEEPS_A_SLOT_AFTER_REMOVE(
            () ->
                    new Variant() {
                        private int made;

                        @Override
                        MdevDevice create(Aperture aperture, MdevContext context) {
                            if (++made > DEVICES) {
                                throw new MdevException(Errno.EBUSY, "slots=" + DEVICES);
                            }
                            return super.create(aperture, context);
                        }
                    },
            "everythingThatIsAvailableCanBeCreated"),

    KEEPS_A_SLOT_AFTER_A_FAILED_CREATION(
            () ->
                    new Variant() {
                        private int used;

                        @Override
                        MdevDevice create(Aperture aperture, MdevContext context) {
                            if (++used > DEVICES) {
                                throw new MdevException(Errno.EBUSY, "slots=" + DEVICES);
                            }
                            aperture.fill(0, 0, (byte) 0);
                            return new VariantDevice(aperture, context) {
                                @Override
                                public void close() {
                                    used--;
                                }
                            };
                        }
                    },
            "aCreationThatFailsLeavesNothing"),

    PROMISES_MORE_THAN_IT_MAKES(
            () ->
                    new Variant() {
                        private int living;

                        @Override
                        MdevDevice create(Aperture aperture, MdevContext context) {
                            if (living == DEVICES - 1) {
                                throw new MdevException(Errno.EUSERS, "living=" + living);
                            }
                            living++;
                            return new VariantDevice(aperture, context) {
                                @Override
                                public void close() {
                                    living--;
                                }
                            };
                        }
                    },
            "everythingThatIsAvailableCanBeCreated"),

    CHANGES_ITS_NAME(
            () ->
                    new Variant() {
                        private int asked;

                        @Override
                        String parentName() {
                            return "variant" + asked++;
                        }
                    },
            "parentsAreWellFormedAndStayTheSame"),

    HAS_POOLS_THAT_OVERLAP(
            () ->
                    new Variant() {
                        @Override
                        List<ResourcePool> pools(Aperture aperture) {
                            return List.of(
                                    new ResourcePool("memory", aperture.pfns()),
                                    new ResourcePool(
                                            "doorbell",
                                            new PfnRange(aperture.pfns().firstPfn(), 1)));
                        }
                    },
            "parentsAreWellFormedAndStayTheSame"),

    LEAVES_A_THREAD(
            deviceWith((aperture, context) -> {
                Thread.ofPlatform().daemon().name("forgotten").start(Bug::waitForEver);
                return new Variant.VariantDevice(aperture, context);
            }),
            "aRemovedDeviceLeavesNothing"),

    STORES_TO_PAGES_OF_A_REMOVED_DEVICE(
            () ->
                    new Variant() {
                        private @Nullable VariantDevice last;

                        @Override
                        MdevDevice create(Aperture aperture, MdevContext context) {
                            if (last != null) {
                                long pfn = last.pfnOf(0);
                                long offset = Page.bytesOf(pfn - aperture.pfns().firstPfn());
                                aperture.fill(offset, 8, (byte) 0x55);
                            }
                            last = new VariantDevice(aperture, context);
                            return last;
                        }
                    },
            "aRemovedDeviceLeavesNothing"),

    USES_ITS_CONTEXT_AFTER_CLOSE(
            () ->
                    new Variant() {
                        private final List<MdevContext> seen = new ArrayList<>();

                        @Override
                        MdevDevice create(Aperture aperture, MdevContext context) {
                            seen.forEach(c -> c.revoke(0, 0, 1));
                            seen.add(context);
                            return super.create(aperture, context);
                        }
                    },
            "aRemovedDeviceLeavesNothing"),

    KEEPS_PINS(
            deviceWith((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        private final List<GuestMemory.Pin> pins = new ArrayList<>();

                        @Override
                        public void write(
                                int region, long offsetBytes, int widthBytes, long value) {
                            super.write(region, offsetBytes, widthBytes, value);
                            if (offsetBytes == 0) {
                                pins.add(context.guestMemory().pin(0, 1, Access.READ));
                            }
                        }
                    }),
            "guestMemoryIsLetGo"),

    COUNTS_WITHOUT_A_NAME(
            deviceWith((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public Map<String, Long> counters() {
                            return Map.of("Faults so far", 1L);
                        }
                    }),
            "countersAreNamedAndNotNegative"),

    SAVES_HALF_ITS_STATE(
            deviceWith((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public void save(DataOutput out) throws IOException {
                            out.write(new byte[scratch.length]);
                        }
                    }),
            "stateMovesToAnotherDevice"),

    TRUSTS_SAVED_STATE(
            deviceWith((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public void save(DataOutput out) throws IOException {
                            out.write(scratch.length);
                            out.write(scratch);
                        }

                        @Override
                        public void restore(int version, DataInput in) throws IOException {
                            in.readFully(scratch, 0, in.readUnsignedByte());
                        }
                    }),
            "spoiledStateIsRefusedOrBorne");

    private final Supplier<Variant> driver;
    private final String test;

    Bug(Supplier<Variant> driver, String test) {
        this.driver = driver;
        this.test = test;
    }

    Variant newDriver() {
        return driver.get();
    }

    /// The test that has to find it, whichever others do.
    String foundBy() {
        return test;
    }

    private static Supplier<Variant> deviceWith(
            BiFunction<Aperture, MdevContext, MdevDevice> device) {
        return () ->
                new Variant() {
                    @Override
                    MdevDevice create(Aperture aperture, MdevContext context) {
                        return device.apply(aperture, context);
                    }
                };
    }

    private static void waitForEver() {
        try {
            new CountDownLatch(1).await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @SuppressWarnings("NullAway") // the bug
    private static MapDecision nothing() {
        return null;
    }

    /// Answers as it is told.
    private static final class Device extends Variant.VariantDevice {
        private final BiFunction<Device, MapRequest, MapDecision> answer;

        Device(
                Aperture aperture,
                MdevContext context,
                BiFunction<Device, MapRequest, MapDecision> answer) {
            super(aperture, context);
            this.answer = answer;
        }

        static Supplier<Variant> with(BiFunction<Device, MapRequest, MapDecision> answer) {
            return deviceWith((aperture, context) -> new Device(aperture, context, answer));
        }

        @Override
        public MapDecision validateMapRequest(MapRequest request) {
            return answer.apply(this, request);
        }

        MapDecision rightAnswer(MapRequest request) {
            return super.validateMapRequest(request);
        }
    }
}
