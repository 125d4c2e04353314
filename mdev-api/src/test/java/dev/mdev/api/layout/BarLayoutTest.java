package dev.mdev.api.layout;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.BarInfo;
import dev.mdev.api.Errno;
import dev.mdev.api.IrqInfo;
import dev.mdev.api.MdevException;
import dev.mdev.api.MsixPlacement;
import dev.mdev.api.PciOptions;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;

import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.Optional;

class BarLayoutTest {
    private static final IrqInfo NO_MSIX = IrqInfo.NONE;
    private static final BarInfo NARROW = new BarInfo(BarInfo.Width.BITS_32, false);
    private static final BarInfo WIDE = new BarInfo(BarInfo.Width.BITS_64, true);

    @Test
    void aBarIsWideWhereTheNextRegisterIsFree() {
        BarLayout layout = layout(NO_MSIX, bar(0), bar(1), bar(2), bar(5));

        assertThat(layout.bars())
                .extracting(BarLayout.Bar::wide)
                .containsExactly(false, false, true, false);
        assertThat(layout.bars()).extracting(BarLayout.Bar::region).containsExactly(0, 1, 2, 5);
    }

    @Test
    void memoryIsPrefetchableAndRegistersAreNot() {
        BarLayout layout =
                layout(NO_MSIX, bar(0), RegionInfo.of(2, "vram", 4096, RegionArea.Kind.LAZY));

        assertThat(layout.bars())
                .extracting(BarLayout.Bar::prefetchable)
                .containsExactly(false, true);
    }

    @Test
    void theMsixTableGetsABarThatTakesNothingFromTheOthersIfThatCanBe() {
        assertThat(msixBar(bar(0), bar(2))).isEqualTo(4);
        assertThat(msixBar(bar(0), bar(1), bar(2), bar(3))).isEqualTo(5);
        assertThat(msixBar()).isEqualTo(4);
        // 64-bit BARs leave nothing but an upper half: the last gets narrow.
        BarLayout full = layout(new IrqInfo(false, 0, 8), bar(0), bar(2), bar(4));
        assertThat(full.addedForMsix().orElseThrow().index()).isEqualTo(5);
        assertThat(full.bars())
                .extracting(BarLayout.Bar::wide)
                .containsExactly(true, true, false, false);
    }

    @Test
    void theAddedBarHoldsTableAndPendingBits() {
        for (int vectors : new int[] {1, 64, 128, 129, 2048}) {
            BarLayout layout = layout(new IrqInfo(false, 0, vectors), bar(0));
            RegionInfo added = layout.addedForMsix().orElseThrow();
            MsixPlacement place = layout.msix().orElseThrow();

            assertThat(place.tableOffsetBytes()).isZero();
            assertThat(place.pbaOffsetBytes()).isGreaterThanOrEqualTo(vectors * 16L);
            assertThat(place.pbaOffsetBytes() + (vectors + 63) / 64 * 8L)
                    .isLessThanOrEqualTo(added.sizeBytes());
            assertThat(added.sizeBytes()).isGreaterThanOrEqualTo(4096);
        }
    }

    @Test
    void aPlaceForTheTableMustBeTrappedAndInside() {
        RegionInfo half =
                new RegionInfo(
                        0, "half", 8192, List.of(new RegionArea(0, 4096, RegionArea.Kind.LAZY)));
        assertThat(placed(half, 4096, 6144).addedForMsix()).isEmpty();
        assertThat(placed(half, 4096, 6144).msix()).contains(new MsixPlacement(0, 4096, 6144));
        assertInvalid(() -> placed(half, 4088, 6144));
        assertInvalid(() -> placed(half, 4096, 4096 + 8));
        assertInvalid(() -> placed(half, 4096, 8192));
        assertInvalid(() -> placed(half, 8192 - 64, 4096));
        assertInvalid(() -> placed(bar(1), 0, 2048));
    }

    @Test
    void whatDoesNotFitTheRegistersIsRefused() {
        assertInvalid(() -> layout(NO_MSIX, bar(0).withBar(WIDE), bar(1)));
        assertInvalid(() -> layout(NO_MSIX, bar(5).withBar(WIDE)));
        assertInvalid(() -> layout(NO_MSIX, RegionInfo.of(0, "tiny", 8, RegionArea.Kind.TRAPPED)));
        assertInvalid(() ->
                layout(
                        NO_MSIX,
                        RegionInfo.of(0, "big", 1L << 32, RegionArea.Kind.TRAPPED)
                                .withBar(NARROW)));
        assertInvalid(
                () -> layout(NO_MSIX, RegionInfo.of(5, "big", 1L << 32, RegionArea.Kind.TRAPPED)));
        assertInvalid(() ->
                layout(
                        new IrqInfo(false, 0, 1),
                        bar(0).withBar(WIDE),
                        bar(2).withBar(WIDE),
                        bar(4).withBar(WIDE)));
    }

    @Test
    void aRomIsTrappedAndOfAPowerOfTwoFrom2KibTo16Mib() {
        assertThat(layout(NO_MSIX, rom(2048)).bars().getFirst().region()).isEqualTo(RegionInfo.ROM);
        assertThat(layout(NO_MSIX, rom(16 << 20)).bars()).hasSize(1);
        assertInvalid(() -> layout(NO_MSIX, rom(1024)));
        assertInvalid(() -> layout(NO_MSIX, rom(32 << 20)));
        assertInvalid(() -> layout(NO_MSIX, rom(3000)));
        assertInvalid(() -> layout(NO_MSIX, RegionInfo.of(6, "rom", 4096, RegionArea.Kind.LAZY)));
    }

    @Test
    void twoRegionsOfOneIndexAreRefused() {
        assertInvalid(() -> layout(NO_MSIX, bar(2), bar(2)));
        RegionInfo trace = RegionInfo.of(9, "trace", 5, RegionArea.Kind.TRAPPED);
        assertInvalid(() -> layout(NO_MSIX, trace, trace));
    }

    @Test
    void configurationSpaceIsNotTheDriversAndDeviceRegionsAreNoBars() {
        assertInvalid(
                () -> layout(NO_MSIX, RegionInfo.of(7, "config", 256, RegionArea.Kind.TRAPPED)));
        assertThat(layout(NO_MSIX, RegionInfo.of(9, "trace", 5, RegionArea.Kind.TRAPPED)).bars())
                .isEmpty();
    }

    @Test
    void theNameOfARegionIsCheckedBeforeItIsTold() {
        String name = "x".repeat(7_000_000);

        assertThatThrownBy(() ->
                        layout(
                                NO_MSIX,
                                bar(0),
                                RegionInfo.of(7, name, 256, RegionArea.Kind.TRAPPED)))
                .isInstanceOf(MdevException.class)
                .hasMessage("name of region=7 has 7000000 characters, at most 256 are taken");
    }

    private static RegionInfo bar(int index) {
        return RegionInfo.of(index, "bar" + index, 4096, RegionArea.Kind.TRAPPED);
    }

    private static RegionInfo rom(long size) {
        return RegionInfo.of(RegionInfo.ROM, "rom", size, RegionArea.Kind.TRAPPED);
    }

    private static int msixBar(RegionInfo... regions) {
        return layout(new IrqInfo(false, 0, 8), regions).addedForMsix().orElseThrow().index();
    }

    private static BarLayout layout(IrqInfo irqs, RegionInfo... regions) {
        return BarLayout.of(List.of(regions), irqs, PciOptions.DEFAULT);
    }

    private static BarLayout placed(RegionInfo region, long table, long pba) {
        return BarLayout.of(
                List.of(region),
                new IrqInfo(false, 0, 8),
                new PciOptions(false, Optional.of(new MsixPlacement(0, table, pba)), List.of()));
    }

    private static void assertInvalid(Runnable call) {
        assertThatThrownBy(call::run)
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EINVAL));
    }
}
