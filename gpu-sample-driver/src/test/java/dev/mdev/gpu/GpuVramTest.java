package dev.mdev.gpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Aperture;
import dev.mdev.api.MdevException;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.PoolShare;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.testkit.AccessResult;
import dev.mdev.testkit.InMemoryHost;
import dev.mdev.testkit.InMemoryMdev;
import dev.mdev.testkit.SimulatedGuest;
import dev.mdev.testkit.Windows;

import org.junit.jupiter.api.Test;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.SplittableRandom;

final class GpuVramTest {
    private static final int VRAM = GpuDevice.VRAM_BAR;
    private static final long MIB = 1 << 20;

    @Test
    void theDriverIsFoundByServiceLoader() {
        assertThat(ServiceLoader.load(ParentDriver.class))
                .extracting(ParentDriver::name)
                .contains("gpu-sample");
    }

    @Test
    void oneFaultPerTouchedPageIsTheDefault() {
        try (InMemoryHost host = host(Map.of())) {
            InMemoryMdev mdev = host.parent().create("gpu-sample-16m");
            SimulatedGuest guest = mdev.guest();
            for (int i = 0; i < 100; i++) {
                guest.store(VRAM, i * 3L * Page.SIZE + 8, 8, i);
            }
            for (int i = 0; i < 100; i++) {
                assertThat(guest.load(VRAM, i * 3L * Page.SIZE + 8, 8)).isEqualTo(i);
            }
            assertThat(guest.faults()).isEqualTo(100);
            assertThat(mdev.mappedPages(VRAM)).isEqualTo(100);
        }
    }

    @Test
    void residentVramIsWhatWasTouched() {
        try (InMemoryHost host = host(Map.of())) {
            InMemoryMdev mdev = host.parent().create("gpu-sample-32m");
            mdev.guest().store(VRAM, 0, 4, 1);
            mdev.guest().store(VRAM, 5 * Page.SIZE, 4, 1);
            mdev.guest().load(VRAM, 9 * Page.SIZE, 4);
            var vram = host.parent().device().pools().getFirst().pfns();
            assertThat(host.parent().aperture().residentPages(vram)).isEqualTo(2);
        }
    }

    /// Where a read of a page allocates it, a picture must not read untouched pages.
    @Test
    void pagesThatHoldNothingAreNotEvenLookedAt() {
        List<Long> looks = new ArrayList<>();
        Aperture aperture =
                new Aperture() {
                    @Override
                    public PfnRange pfns() {
                        return new PfnRange(0, 16);
                    }

                    @Override
                    public void read(long offsetBytes, MemorySegment destination) {
                        looks.add(offsetBytes);
                        destination.fill((byte) 1);
                    }

                    @Override
                    public void write(long offsetBytes, MemorySegment source) {}

                    @Override
                    public void fill(long offsetBytes, long lengthBytes, byte value) {}
                };
        PoolShare share = new PoolShare(GpuParent.VRAM, List.of(new PfnRange(0, 16)));
        GpuSettings settings = new GpuSettings(1, 16, List.of(16), List.of(64), 1, 0, false);
        Vram vram = new FixedVram(aperture, share, settings);
        vram.write(5 * Page.SIZE + 7, MemorySegment.ofArray(new byte[1]));
        byte[] seen = new byte[4 * Page.SIZE];
        vram.read(3 * Page.SIZE + 100, MemorySegment.ofArray(seen));
        assertThat(looks).containsExactly(5L * Page.SIZE);
        for (int i = 0; i < seen.length; i++) {
            int page = (3 * Page.SIZE + 100 + i) / Page.SIZE;
            assertThat(seen[i]).isEqualTo((byte) (page == 5 ? 1 : 0));
        }
    }

    @Test
    void aGrantIsAsLongAsTheSettingAndTheWindowAllow() {
        try (InMemoryHost host = host(Map.of("grant-pages", "16"))) {
            InMemoryMdev mdev = host.parent().create("gpu-sample-16m");
            mdev.guest().load(VRAM, 20 * Page.SIZE, 4);
            assertThat(mdev.mappedPages(VRAM)).isEqualTo(16);
            mdev.guest().setWindows(Windows.narrow());
            mdev.guest().load(VRAM, 100 * Page.SIZE, 4);
            assertThat(mdev.mappedPages(VRAM)).isEqualTo(17);
        }
    }

    @Test
    void contentStaysWhereItIsWhateverTheGrantsAre() {
        for (String type : new String[] {"gpu-sample-16m", "gpu-sample-elastic-32m"}) {
            try (InMemoryHost host = host(Map.of("grant-pages", "999", "elastic-mib", "32"))) {
                InMemoryMdev mdev = host.parent().create(type);
                SplittableRandom random = new SplittableRandom(host.seed());
                mdev.guest().setWindows(Windows.random(random.split()));
                long npages = 16 * MIB / Page.SIZE;
                for (long page = 0; page < npages; page++) {
                    mdev.guest().store(VRAM, page * Page.SIZE, 8, page + 1);
                }
                for (int i = 0; i < 1000; i++) {
                    long page = random.nextLong(npages);
                    mdev.revoke(VRAM, random.nextLong(npages), 1 + random.nextLong(64));
                    assertThat(mdev.guest().load(VRAM, page * Page.SIZE, 8))
                            .as("seed=%d page=%d", host.seed(), page)
                            .isEqualTo(page + 1);
                }
            }
        }
    }

    @Test
    void theRestOfABarThatIsLargerThanTheVramIsAGuard() {
        try (InMemoryHost host = host(Map.of("types-mib", "48"))) {
            InMemoryMdev mdev = host.parent().create("gpu-sample-48m");
            assertThat(mdev.regions().getFirst().sizeBytes()).isEqualTo(64 * MIB);
            mdev.guest().store(VRAM, 48 * MIB - 8, 8, 7);
            assertThat(mdev.guest().tryLoad(VRAM, 48 * MIB, 4))
                    .isInstanceOf(AccessResult.Failed.class);
        }
    }

    @Test
    void resetClearsScratchAndVram() {
        try (InMemoryHost host = host(Map.of())) {
            InMemoryMdev mdev = host.parent().create("gpu-sample-16m");
            mdev.guest().store(VRAM, 0x1234, 1, 0x55);
            mdev.guest().store(GpuDevice.MMIO_BAR, GpuDisplay.SCRATCH, 4, 0x55);
            mdev.reset();
            assertThat(mdev.guest().load(VRAM, 0x1234, 1)).isZero();
            assertThat(mdev.guest().load(GpuDevice.MMIO_BAR, GpuDisplay.SCRATCH, 4)).isZero();
        }
    }

    @Test
    void registersTellWhatTheDeviceIs() {
        try (InMemoryHost host = host(Map.of())) {
            SimulatedGuest guest = host.parent().create("gpu-sample-64m").guest();
            int bar = GpuDevice.MMIO_BAR;
            assertThat(guest.load(bar, GpuDisplay.ID, 4)).isEqualTo(0x5047444DL);
            assertThat(guest.load(bar, GpuDisplay.VRAM_BYTES, 8)).isEqualTo(64 * MIB);
            guest.store(bar, GpuDisplay.SCRATCH, 4, 0x1234_5678);
            guest.store(bar, GpuDisplay.SCRATCH + 1, 2, 0xABCD);
            assertThat(guest.load(bar, GpuDisplay.SCRATCH, 4)).isEqualTo(0x12AB_CD78L);
            guest.store(bar, GpuDisplay.ID, 8, -1);
            assertThat(guest.load(bar, GpuDisplay.ID, 4)).isEqualTo(0x5047444DL);
        }
    }

    @Test
    void devicesOfAllTypesFillTheVram() {
        try (InMemoryHost host = host(Map.of())) {
            host.parent().create("gpu-sample-128m");
            host.parent().create("gpu-sample-64m");
            host.parent().create("gpu-sample-32m");
            assertThat(host.parent().available("gpu-sample-16m")).isEqualTo(2);
            assertThat(host.parent().available("gpu-sample-64m")).isZero();
        }
    }

    @Test
    void badSettingsAreNamed() {
        assertThatThrownBy(() -> host(Map.of("vram-mib", "lots")))
                .isInstanceOf(MdevException.class)
                .hasMessage("setting=vram-mib value=\"lots\" wanted=16 to 65536");
    }

    private static InMemoryHost host(Map<String, String> settings) {
        return new InMemoryHost(new GpuParentDriver(), settings);
    }
}
