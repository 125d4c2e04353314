package dev.mdev.core.bus;

import static dev.mdev.core.bus.BusWorld.assertFails;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Aperture;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.api.PciIdentity;
import dev.mdev.api.RegionInfo;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.support.TestParent;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

import java.util.AbstractMap;
import java.util.AbstractSet;
import java.util.Collections;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Stream;

/// Devices whose answers about themselves are none.
class OddDeviceTest {
    private static final UUID ONE = new UUID(13, 13);

    private static final MdevType TYPE =
            new MdevType(
                    "t4",
                    "four pages",
                    "",
                    MdevType.VFIO_PCI,
                    List.of(new MdevType.Demand("pages", 4, 1, false)),
                    8);

    private final HostMemory memory = new HostMemory(new OffHeapBackend());
    private final MdevBus bus = new MdevBus(memory, Deadlines.HANG, MdevObserver.NONE);

    @AfterEach
    void close() {
        bus.close();
        memory.close();
    }

    /// @param counted the answer to `counters`
    /// @param identity the answer to `identity`
    private record Odd(Map<String, Long> counted, PciIdentity identity) implements MdevDevice {
        @Override
        public List<RegionInfo> regions() {
            return List.of();
        }

        @Override
        public void reset() {}

        @Override
        public Map<String, Long> counters() {
            return counted;
        }
    }

    private void add(Odd device) {
        ParentDriver driver =
                new ParentDriver() {
                    @Override
                    public String name() {
                        return "odd";
                    }

                    @Override
                    public List<ParentDevice> probe(ParentHost host) {
                        Aperture aperture = host.allocateAperture("a", 16);
                        return List.of(new TestParent("p0", aperture, TYPE, _ -> device));
                    }
                };
        var _ = bus.addDriver(driver, Map.of());
    }

    @Test
    void countersWithoutEndAreRefused() {
        Map<String, Long> endless =
                new AbstractMap<>() {
                    @Override
                    public int size() {
                        return 0;
                    }

                    @Override
                    public Set<Entry<String, Long>> entrySet() {
                        return new AbstractSet<>() {
                            @Override
                            public Iterator<Entry<String, Long>> iterator() {
                                return Stream.iterate(0L, i -> i + 1)
                                        .map(i -> Map.entry("c" + i, i))
                                        .iterator();
                            }

                            @Override
                            public int size() {
                                return 0;
                            }
                        };
                    }
                };
        add(new Odd(endless, PciIdentity.UNSPECIFIED));
        var mdev = bus.create(ONE, "p0", "t4");

        assertFails(mdev::counters, Errno.E2BIG, "counters=257");
    }

    @Test
    @SuppressWarnings("NullAway") // the driver's answer
    void aCounterWithoutAValueIsAFailureOfTheDriver() {
        add(
                new Odd(
                        new HashMap<>(Collections.singletonMap("jobs", null)),
                        PciIdentity.UNSPECIFIED));
        var mdev = bus.create(ONE, "p0", "t4");

        assertFails(mdev::counters, Errno.EIO, "a counter without a value");
    }

    /// Not when a guest gets the device: nobody would know why.
    @Test
    @SuppressWarnings("NullAway") // the driver's answer
    void aDeviceWithoutAnIdentityIsNotCreated() {
        add(new Odd(Map.of(), null));
        long free = bus.parent("p0").usage().getFirst().freePages();

        assertFails(() -> bus.create(ONE, "p0", "t4"), Errno.EIO, "identity");

        assertThat(bus.status(ONE)).isEmpty();
        assertThat(bus.parent("p0").usage().getFirst().freePages()).isEqualTo(free);
    }
}
