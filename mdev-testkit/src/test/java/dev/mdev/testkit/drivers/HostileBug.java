package dev.mdev.testkit.drivers;

import dev.mdev.api.Aperture;
import dev.mdev.api.Errno;
import dev.mdev.api.ExistingDevice;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentHost;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.ReportLevel;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.page.Prot;

import java.io.DataOutput;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.Pipe;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/// Drivers that harm their caller: they block, overflow, or answer at too great length. Each gets a
/// verdict.
@SuppressWarnings("ImmutableEnumChecker") // suppliers of fresh drivers
enum HostileBug implements SeededBug {
    DENIES_WITH_A_NOVEL(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public MapDecision validateMapRequest(MapRequest request) {
                            return new MapDecision.Deny("x".repeat(7_000_000));
                        }
                    }),
            "grantsKeepToTheShareTheWindowAndTheRights",
            "has 7000000 characters"),

    NAMES_A_NOVEL_AS_ITS_POOL(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public MapDecision validateMapRequest(MapRequest request) {
                            return new MapDecision.FromPool(
                                    request.page(),
                                    "x".repeat(7_000_000),
                                    request.page(),
                                    1,
                                    Prot.READ_WRITE);
                        }
                    }),
            "grantsKeepToTheShareTheWindowAndTheRights",
            "the name of the pool has 7000000 characters"),

    REPORTS_A_NOVEL(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public long read(int region, long offsetBytes, int widthBytes) {
                            context.report(ReportLevel.WARNING, "x".repeat(7_000_000));
                            return 0;
                        }
                    }),
            "registersBearAnyWidthAtAnyOffset",
            "a report of 7000000 characters"),

    FAILS_WITH_A_NOVEL(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public MapDecision validateMapRequest(MapRequest request) {
                            throw new MdevException(Errno.EIO, "x".repeat(7_000_000));
                        }
                    }),
            "grantsKeepToTheShareTheWindowAndTheRights",
            "has 7000000 characters"),

    FAILS_WITH_A_NOVEL_IN_A_REGISTER(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public long read(int region, long offsetBytes, int widthBytes) {
                            throw new MdevException(Errno.EIO, "x".repeat(7_000_000));
                        }
                    }),
            "registersBearAnyWidthAtAnyOffset",
            "has 7000000 characters"),

    THROWS_WHAT_CANNOT_BE_NAMED(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public long read(int region, long offsetBytes, int widthBytes) {
                            throw new Nameless();
                        }
                    }),
            "registersBearAnyWidthAtAnyOffset",
            "Nameless"),

    OVERFLOWS_THE_STACK(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        @SuppressWarnings("InfiniteRecursion") // that is the bug
                        public long read(int region, long offsetBytes, int widthBytes) {
                            return read(region, offsetBytes, widthBytes) + 1;
                        }
                    }),
            "registersBearAnyWidthAtAnyOffset",
            "StackOverflowError"),

    THROWS_AN_ERROR_AT_RESET(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public void reset() {
                            throw new AssertionError("not now");
                        }
                    }),
            "resetBringsBackTheFirstState",
            "not now"),

    BLOCKS_IN_THE_KERNEL(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public long read(int region, long offsetBytes, int widthBytes) {
                            try {
                                return Pipe.open().source().read(ByteBuffer.allocate(1));
                            } catch (IOException e) {
                                return 0;
                            }
                        }
                    }),
            "registersBearAnyWidthAtAnyOffset",
            "has not come back"),

    LEAVES_THE_THREAD_INTERRUPTED(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public long read(int region, long offsetBytes, int widthBytes) {
                            Thread.currentThread().interrupt();
                            return 0;
                        }
                    }),
            "registersBearAnyWidthAtAnyOffset",
            "left its thread interrupted"),

    LEAVES_THE_THREAD_INTERRUPTED_AND_FAILS(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public MapDecision validateMapRequest(MapRequest request) {
                            Thread.currentThread().interrupt();
                            throw new MdevException(Errno.EIO, "no");
                        }
                    }),
            "grantsKeepToTheShareTheWindowAndTheRights",
            "left its thread interrupted"),

    SAVES_WITHOUT_END(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public void save(DataOutput out) throws IOException {
                            byte[] part = new byte[1 << 20];
                            while (true) {
                                out.write(part);
                            }
                        }
                    }),
            "stateMovesToAnotherDevice",
            "16777216 bytes"),

    SAVES_WITHOUT_END_WHATEVER_IS_THROWN(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public void save(DataOutput out) {
                            byte[] part = new byte[1 << 20];
                            while (true) {
                                try {
                                    out.write(part);
                                } catch (IOException e) {
                                    if (Thread.currentThread().isInterrupted()) {
                                        return;
                                    }
                                }
                            }
                        }
                    }),
            "stateMovesToAnotherDevice",
            "has not come back"),

    IGNORES_INTERRUPTS(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public long read(int region, long offsetBytes, int widthBytes) {
                            while (!IS_OVER.get()) {
                                Thread.onSpinWait();
                            }
                            return 0;
                        }
                    }),
            "registersBearAnyWidthAtAnyOffset",
            "has not come back"),

    IS_ALWAYS_JUST_IN_TIME(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public long read(int region, long offsetBytes, int widthBytes) {
                            Variant.pause(150);
                            return 0;
                        }
                    }),
            "registersBearAnyWidthAtAnyOffset",
            ""),

    BLOCKS_IN_ITS_CONSTRUCTOR(
            () -> {
                Variant.waitForEver();
                return new Variant();
            },
            "theDriverHasAStableName",
            "has not come back"),

    BLOCKS_IN_ITS_NAME(
            () ->
                    new Variant() {
                        @Override
                        public String name() {
                            Variant.waitForEver();
                            return "variant";
                        }
                    },
            "theDriverHasAStableName",
            "has not come back"),

    BLOCKS_IN_PROBE(
            () ->
                    new Variant() {
                        @Override
                        public List<ParentDevice> probe(ParentHost host) {
                            Variant.waitForEver();
                            return List.of();
                        }
                    },
            "parentsAreWellFormedAndStayTheSame",
            "has not come back"),

    BLOCKS_IN_ITS_POOLS(
            () ->
                    new Variant() {
                        @Override
                        List<ResourcePool> pools(Aperture aperture) {
                            Variant.waitForEver();
                            return List.of();
                        }
                    },
            "parentsAreWellFormedAndStayTheSame",
            "has not come back"),

    BLOCKS_IN_EXISTING(
            () ->
                    new Variant() {
                        @Override
                        List<ExistingDevice> existing(Aperture aperture) {
                            Variant.waitForEver();
                            return List.of();
                        }
                    },
            "existingDevicesAreSoundAndKeepTheirContent",
            "has not come back"),

    BLOCKS_IN_CREATE(
            () ->
                    new Variant() {
                        @Override
                        MdevDevice create(Aperture aperture, MdevContext context) {
                            Variant.waitForEver();
                            return super.create(aperture, context);
                        }
                    },
            "everythingThatIsAvailableCanBeCreated",
            "has not come back"),

    BLOCKS_IN_COUNTERS(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public Map<String, Long> counters() {
                            Variant.waitForEver();
                            return Map.of();
                        }
                    }),
            "countersAreNamedAndNotNegative",
            "has not come back"),

    BLOCKS_IN_RESET(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public void reset() {
                            Variant.waitForEver();
                        }
                    }),
            "resetBringsBackTheFirstState",
            "has not come back"),

    BLOCKS_IN_CLOSE(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public void close() {
                            Variant.waitForEver();
                        }
                    }),
            "aRemovedDeviceLeavesNothing",
            "has not come back"),

    WAITS_FOR_ANOTHER_ACCESS(
            Variant.of((aperture, context) -> {
                CountDownLatch both = new CountDownLatch(2);
                return new Variant.VariantDevice(aperture, context) {
                    @Override
                    public boolean isConcurrent() {
                        return true;
                    }

                    @Override
                    public MapDecision validateMapRequest(MapRequest request) {
                        both.countDown();
                        Variant.await(both);
                        return super.validateMapRequest(request);
                    }
                };
            }),
            "grantsKeepToTheShareTheWindowAndTheRights",
            "has not come back"),

    COUNTS_EVERYTHING(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public Map<String, Long> counters() {
                            return IntStream.range(0, 300)
                                    .boxed()
                                    .collect(
                                            Collectors.toMap(
                                                    i -> "counter_" + i, Integer::longValue));
                        }
                    }),
            "countersAreNamedAndNotNegative",
            "300 counters"),

    COUNTS_DOWN(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @Override
                        public Map<String, Long> counters() {
                            return Map.of("left", -1L);
                        }
                    }),
            "countersAreNamedAndNotNegative",
            "left=-1"),

    HAS_NULL_REGIONS(
            Variant.of((aperture, context) ->
                    new Variant.VariantDevice(aperture, context) {
                        @SuppressWarnings("NullAway") // the bug
                        @Override
                        public List<RegionInfo> regions() {
                            return null;
                        }
                    }),
            "everythingThatIsAvailableCanBeCreated",
            "regions returned null");

    private static final AtomicBoolean IS_OVER = new AtomicBoolean();

    private final Supplier<Variant> driver;
    private final String test;
    private final String says;

    HostileBug(Supplier<Variant> driver, String test, String says) {
        this.driver = driver;
        this.test = test;
        this.says = says;
    }

    @Override
    public Variant newDriver() {
        IS_OVER.set(false);
        return driver.get();
    }

    @Override
    public void end() {
        IS_OVER.set(true);
    }

    @Override
    public String foundBy() {
        return test;
    }

    @Override
    public String says() {
        return says;
    }

    @Override
    public boolean blocks() {
        return switch (this) {
            case IGNORES_INTERRUPTS,
                    WAITS_FOR_ANOTHER_ACCESS,
                    SAVES_WITHOUT_END_WHATEVER_IS_THROWN ->
                    true;
            default -> SeededBug.super.blocks();
        };
    }

    @Override
    public Duration deadline() {
        return this == IS_ALWAYS_JUST_IN_TIME ? Duration.ofSeconds(1) : SeededBug.super.deadline();
    }

    @SuppressWarnings("OverrideThrowableToString") // that is the bug
    private static final class Nameless extends RuntimeException {
        private static final long serialVersionUID = 1L;

        @Override
        public String toString() {
            throw new IllegalStateException("no name");
        }
    }
}
