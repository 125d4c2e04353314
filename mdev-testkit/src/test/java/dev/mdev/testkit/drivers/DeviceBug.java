package dev.mdev.testkit.drivers;

import dev.mdev.api.Aperture;
import dev.mdev.api.Errno;
import dev.mdev.api.GuestMemory;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentHost;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;

import org.jspecify.annotations.Nullable;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.ConcurrentModificationException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;

/// Bugs outside the answers for pages: registers, life, state.
@SuppressWarnings("ImmutableEnumChecker") // suppliers of fresh drivers
enum DeviceBug implements SeededBug {
    BLOCKS_IN_A_REGISTER(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public long read(int region, long offsetBytes, int widthBytes) {
                            if (offsetBytes == 64) {
                                Variant.waitForEver();
                            }
                            return super.read(region, offsetBytes, widthBytes);
                        }
                    }),
            "registersBearAnyWidthAtAnyOffset"),

    THROWS_AT_THE_END_OF_THE_PAGE(
            Variant.of((aperture, context) ->
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
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public void reset() {
                            clearMemory();
                        }
                    }),
            "resetBringsBackTheFirstState"),

    FORGETS_MEMORY_AT_RESET(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public void reset() {
                            clearScratch();
                        }
                    }),
            "resetBringsBackTheFirstState"),

    STAYS_BUSY_AFTER_A_FAILURE(
            Variant.of((aperture, context) ->
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
            Variant.of((aperture, context) -> {
                Thread.ofPlatform().daemon().name("forgotten").start(Variant::waitForEver);
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
            Variant.of((aperture, context) ->
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
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public Map<String, Long> counters() {
                            return Map.of("Faults so far", 1L);
                        }
                    }),
            "countersAreNamedAndNotNegative"),

    SAVES_HALF_ITS_STATE(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public void save(DataOutput out) throws IOException {
                            out.write(new byte[scratch.length]);
                        }
                    }),
            "stateMovesToAnotherDevice"),

    TRUSTS_SAVED_STATE(
            Variant.of((aperture, context) ->
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
            "spoiledStateIsRefusedOrBorne"),

    THROWS_ON_A_PAGE_IN_THE_MIDDLE(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public List<RegionInfo> regions() {
                            return List.of(
                                    super.regions().getFirst(),
                                    RegionInfo.of(
                                            REGISTERS,
                                            "registers",
                                            4 * Page.SIZE,
                                            RegionArea.Kind.TRAPPED));
                        }

                        @Override
                        public long read(int region, long offsetBytes, int widthBytes) {
                            if (Page.numberOf(offsetBytes) == 2) {
                                throw new IllegalStateException("no such page");
                            }
                            return super.read(region, offsetBytes, widthBytes);
                        }
                    }),
            "aHostileGuestFindsNothing"),

    SHOWS_A_CLOCK(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public long read(int region, long offsetBytes, int widthBytes) {
                            return System.nanoTime();
                        }
                    }),
            "theSameAccessesGiveTheSameResults"),

    EXPECTS_ONE_ACCESS_AT_A_TIME(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        private final AtomicInteger inside = new AtomicInteger();

                        @Override
                        public boolean isConcurrent() {
                            return true;
                        }

                        @Override
                        public long read(int region, long offsetBytes, int widthBytes) {
                            int mine = inside.incrementAndGet();
                            for (int i = 0; i < 1000 && inside.get() == mine; i++) {
                                Thread.onSpinWait();
                            }
                            if (inside.getAndDecrement() != mine) {
                                throw new ConcurrentModificationException();
                            }
                            return super.read(region, offsetBytes, widthBytes);
                        }
                    }),
            "everythingAtOnceIsBorne"),

    HIDES_THAT_THE_HOST_HAS_NO_MEMORY(
            () ->
                    new Variant() {
                        @Override
                        public List<ParentDevice> probe(ParentHost host) {
                            try {
                                return super.probe(host);
                            } catch (MdevException e) {
                                throw new IllegalStateException("no parent", e);
                            }
                        }
                    },
            "aHostWithoutMemoryIsToldSo");

    private final Supplier<Variant> driver;
    private final String test;

    DeviceBug(Supplier<Variant> driver, String test) {
        this.driver = driver;
        this.test = test;
    }

    @Override
    public Variant newDriver() {
        return driver.get();
    }

    @Override
    public String foundBy() {
        return test;
    }
}
