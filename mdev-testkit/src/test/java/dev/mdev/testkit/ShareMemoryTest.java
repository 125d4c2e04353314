package dev.mdev.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.PoolShare;
import dev.mdev.api.ShareMemory;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

import org.junit.jupiter.api.Test;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;

final class ShareMemoryTest {
    private final SparseAperture aperture = new SparseAperture(new PfnRange(100, 64));

    /// Three extents, two of which touch.
    private final PoolShare share =
            new PoolShare(
                    "p", List.of(new PfnRange(103, 4), new PfnRange(107, 2), new PfnRange(120, 5)));

    private final ShareMemory memory = ShareMemory.inOrder(aperture, share);

    @Test
    void extentsThatTouchAreOneRun() {
        assertThat(memory.npages()).isEqualTo(11);
        assertThat(memory.runAround(0)).isEqualTo(new ShareMemory.Run(0, new PfnRange(103, 6)));
        assertThat(memory.runAround(5)).isEqualTo(memory.runAround(0));
        assertThat(memory.runAround(6)).isEqualTo(new ShareMemory.Run(6, new PfnRange(120, 5)));
        assertThatThrownBy(() -> memory.runAround(11))
                .isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> memory.runAround(-1))
                .isInstanceOf(IndexOutOfBoundsException.class);
    }

    @Test
    void scatteredPagesAreAllThereAndNoNeighbours() {
        ShareMemory scattered = ShareMemory.scattered(aperture, share);
        Set<Long> pfns = new HashSet<>();
        for (long page = 0; page < 11; page++) {
            assertThat(scattered.runAround(page).firstPage()).isEqualTo(page);
            assertThat(scattered.runAround(page).pfns().npages()).isEqualTo(1);
            pfns.add(scattered.runAround(page).pfns().firstPfn());
        }
        assertThat(pfns)
                .containsExactlyInAnyOrder(
                        103L, 104L, 105L, 106L, 107L, 108L, 120L, 121L, 122L, 123L, 124L);
    }

    @Test
    void bytesAreThoseOfAnArrayWhereverThePagesAre() {
        SplittableRandom random = new SplittableRandom(Long.getLong("mdev.seed", 1));
        for (ShareMemory each : List.of(memory, ShareMemory.scattered(aperture, share))) {
            byte[] model = new byte[11 * Page.SIZE];
            each.fill(0, model.length, (byte) 0);
            for (int i = 0; i < 300; i++) {
                int at = random.nextInt(model.length);
                byte[] bytes = new byte[random.nextInt(model.length - at)];
                random.nextBytes(bytes);
                System.arraycopy(bytes, 0, model, at, bytes.length);
                each.write(at, MemorySegment.ofArray(bytes));
            }
            each.fill(5000, 9000, (byte) 3);
            Arrays.fill(model, 5000, 14000, (byte) 3);
            each.store(4093, 8, 0x0102_0304_0506_0708L);
            for (int i = 0; i < 8; i++) {
                model[4093 + i] = (byte) (8 - i);
            }
            byte[] seen = new byte[model.length];
            each.read(0, MemorySegment.ofArray(seen));
            assertThat(Arrays.mismatch(seen, model)).isEqualTo(-1);
            assertThat(each.load(4094, 4)).isEqualTo(0x0405_0607L);
            assertThatThrownBy(() -> each.load(model.length - 1, 2))
                    .isInstanceOf(IndexOutOfBoundsException.class);
        }
    }

    @Test
    void aPageOfTheShareHasOnePhysicalPage() {
        for (ShareMemory each : List.of(memory, ShareMemory.scattered(aperture, share))) {
            for (long page = 0; page < each.npages(); page++) {
                ShareMemory.Run run = each.runAround(page);
                assertThat(each.pfnOf(page))
                        .isEqualTo(run.pfns().firstPfn() + page - run.firstPage());
            }
            assertThatThrownBy(() -> each.pfnOf(11)).isInstanceOf(IndexOutOfBoundsException.class);
        }
        assertThat(memory.pfnOf(5)).as("the last page of a run").isEqualTo(108);
        assertThat(share.pfnOf(5)).isEqualTo(108);
        assertThat(aperture.offsetOf(108)).isEqualTo(8L * Page.SIZE);
        assertThatThrownBy(() -> aperture.offsetOf(99))
                .isInstanceOf(IndexOutOfBoundsException.class);
    }

    /// Every window and limit: the grant covers the page, keeps to window, run and limit, and is no
    /// shorter than these allow.
    @Test
    void aGrantIsAsLongAsWindowRunAndLimitAllow() {
        for (long page = 0; page < 11; page++) {
            for (long first = 0; first <= page; first++) {
                for (long end = page + 1; end <= 16; end++) {
                    for (long most = 1; most < 9; most++) {
                        checkGrant(request(page, first, end), most);
                    }
                }
            }
        }
    }

    private void checkGrant(MapRequest request, long most) {
        ShareMemory.Run run = memory.runAround(request.page());
        MapDecision.Grant grant = run.grant(request, most, Prot.READ);
        long room =
                Math.min(request.endPage(), run.endPage())
                        - Math.max(request.firstPage(), run.firstPage());
        long end = grant.firstPage() + grant.pfns().npages();
        assertThat(grant.pfns().npages()).isEqualTo(Math.min(room, most));
        assertThat(request.page()).isBetween(grant.firstPage(), end - 1);
        assertThat(grant.firstPage()).isGreaterThanOrEqualTo(request.firstPage());
        assertThat(end).isLessThanOrEqualTo(request.endPage());
        assertThat(grant.pfns().firstPfn()).isEqualTo(share.pfnOf(grant.firstPage()));
        assertThat(run.pfns().contains(grant.pfns())).isTrue();
        assertThat(grant.prot()).isEqualTo(Prot.READ);
    }

    private static MapRequest request(long page, long first, long end) {
        return new MapRequest(0, page, first, end, Access.READ, MapRequest.Reason.FIRST_TOUCH);
    }
}
