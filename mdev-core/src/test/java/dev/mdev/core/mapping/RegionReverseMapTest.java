package dev.mdev.core.mapping;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.RegionArea;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.engine.software.SoftwareGuest;
import dev.mdev.core.hostmm.FaultResult;
import dev.mdev.core.hostmm.Fill;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.hostmm.HostPte;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.SlotConfig;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/// One device that two guests have mapped, the first one in two places.
class RegionReverseMapTest {
    private static final int REGION = 2;
    private static final int OTHER_REGION = 4;

    private final HostMemory memory = new HostMemory(new OffHeapBackend());
    private final SoftwareGuest guest = guest();
    private final SoftwareGuest otherGuest = guest();
    private final RegionReverseMap mappings = new RegionReverseMap();

    /// Pages 8 to 16 of the region, pages 16 to 24, pages 8 to 16 of another region, and pages 8 to
    /// 16 of the first in another guest.
    private final Vma low = map(guest, REGION, 8);

    private final Vma high = map(guest, REGION, 16);
    private final Vma ofOtherRegion = map(guest, OTHER_REGION, 8);
    private final Vma ofOtherGuest = map(otherGuest, REGION, 8);

    @AfterEach
    void close() {
        guest.close();
        otherGuest.close();
        memory.close();
    }

    private SoftwareGuest guest() {
        return new SoftwareEngine(Duration.ofSeconds(60))
                .createGuest(new AddressSpaces(SlotConfig.withoutSmm()), memory);
    }

    private Vma map(SoftwareGuest in, int region, long firstPage) {
        Vma vma =
                mappings.map(
                        in.hostMm(),
                        region,
                        RegionArea.lazyPages(firstPage, firstPage + 8),
                        fault ->
                                new Fill.Map(
                                        fault.page(),
                                        new PfnRange(0x1000 + fault.page(), 1),
                                        Prot.READ_WRITE));
        for (long page = 0; page < 8; page++) {
            assertThat(in.hostMm().handleFault(hva(vma, page), Access.WRITE))
                    .isInstanceOf(FaultResult.Mapped.class);
        }
        return vma;
    }

    private static long hva(Vma vma, long page) {
        return vma.range().startHva() + Page.addressOf(page);
    }

    /// The pages of the region that are mapped by a vma.
    private static List<Long> present(HostMm mm, Vma vma, long firstPage) {
        List<Long> pages = new ArrayList<>();
        for (long page = 0; page < 8; page++) {
            if (HostPte.isPresent(mm.lookup(hva(vma, page)))) {
                pages.add(firstPage + page);
            }
        }
        return pages;
    }

    @Test
    void thePagesOfARevocationGoInEveryMappingOfTheRegionAndNoOtherPageDoes() {
        mappings.zap(REGION, 14, 18);

        assertThat(present(guest.hostMm(), low, 8)).containsExactly(8L, 9L, 10L, 11L, 12L, 13L);
        assertThat(present(guest.hostMm(), high, 16)).containsExactly(18L, 19L, 20L, 21L, 22L, 23L);
        assertThat(present(otherGuest.hostMm(), ofOtherGuest, 8))
                .containsExactly(8L, 9L, 10L, 11L, 12L, 13L);
        assertThat(present(guest.hostMm(), ofOtherRegion, 8)).hasSize(8);
        assertThat(mappings.residentPages(REGION)).isEqualTo(18);
        assertThat(mappings.residentPages(OTHER_REGION)).isEqualTo(8);
    }

    @Test
    void pagesThatNobodyMapsAreRevokedWithoutEffect() {
        mappings.zap(REGION, 0, 8);
        mappings.zap(REGION, 24, 100);
        mappings.zap(REGION + 1, 0, 100);

        assertThat(mappings.residentPages(REGION)).isEqualTo(24);
    }

    @Test
    void aRevocationThatGoesBeyondAMappingDoesNotReachItsNeighboursInTheGuest() {
        mappings.zap(REGION, 14, 1L << 20);

        assertThat(present(guest.hostMm(), low, 8)).hasSize(6);
        assertThat(present(guest.hostMm(), high, 16)).isEmpty();
        assertThat(present(guest.hostMm(), ofOtherRegion, 8)).hasSize(8);
    }

    @Test
    void onePageIsRevokedAtEitherEndOfAMapping() {
        mappings.zap(REGION, 8, 9);
        mappings.zap(REGION, 23, 24);

        assertThat(present(guest.hostMm(), low, 8)).doesNotContain(8L).hasSize(7);
        assertThat(present(guest.hostMm(), high, 16)).doesNotContain(23L).hasSize(7);
        assertThat(present(otherGuest.hostMm(), ofOtherGuest, 8)).doesNotContain(8L).hasSize(7);
    }

    @Test
    void aMappingThatIsTakenOutIsGoneAndTheOthersStay() {
        mappings.unmap(low);

        assertThat(guest.hostMm().handleFault(hva(low, 0), Access.READ))
                .isInstanceOf(FaultResult.Failed.class);
        assertThat(mappings.residentPages(REGION)).isEqualTo(16);
    }

    @Test
    void allPagesGoAndTheRangesStayUntilTheyAreCleared() {
        mappings.zapAll();

        assertThat(mappings.residentPages(REGION) + mappings.residentPages(OTHER_REGION)).isZero();
        assertThat(guest.hostMm().handleFault(hva(high, 3), Access.READ))
                .isInstanceOf(FaultResult.Mapped.class);

        mappings.clear();

        for (Vma vma : List.of(low, high, ofOtherRegion)) {
            assertThat(guest.hostMm().handleFault(hva(vma, 0), Access.READ))
                    .isInstanceOf(FaultResult.Failed.class);
        }
        assertThat(otherGuest.hostMm().handleFault(hva(ofOtherGuest, 0), Access.READ))
                .isInstanceOf(FaultResult.Failed.class);
    }
}
