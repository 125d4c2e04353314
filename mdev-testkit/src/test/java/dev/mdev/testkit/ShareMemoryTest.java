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
import java.util.List;
import java.util.SplittableRandom;

final class ShareMemoryTest {
    private final SparseAperture aperture = new SparseAperture(new PfnRange(100, 64));

    /// Three extents, two of which touch.
    private final PoolShare share =
            new PoolShare(
                    "p", List.of(new PfnRange(103, 4), new PfnRange(107, 2), new PfnRange(120, 5)));

    private final ShareMemory memory = ShareMemory.inOrder(aperture, share);

    @Test
    void extentsThatTouchAreOnePiece() {
        assertThat(memory.npages()).isEqualTo(11);
        for (long page = 0; page < 11; page++) {
            MapDecision.Grant piece = memory.grant(request(page, 0, 16), 16, Prot.READ);
            assertThat(piece.firstPage()).isEqualTo(page < 6 ? 0 : 6);
            assertThat(piece.pfns())
                    .isEqualTo(page < 6 ? new PfnRange(103, 6) : new PfnRange(120, 5));
        }
        for (long outside : new long[] {11, -1}) {
            assertThatThrownBy(() -> memory.pfnOf(outside))
                    .isInstanceOf(IndexOutOfBoundsException.class);
        }
    }

    @Test
    void bytesAreThoseOfAnArrayWhereverThePagesAre() {
        SplittableRandom random = new SplittableRandom(Long.getLong("mdev.seed", 1));
        byte[] model = new byte[11 * Page.SIZE];
        memory.fill(0, model.length, (byte) 0);
        for (int i = 0; i < 300; i++) {
            int at = random.nextInt(model.length);
            byte[] bytes = new byte[random.nextInt(model.length - at)];
            random.nextBytes(bytes);
            System.arraycopy(bytes, 0, model, at, bytes.length);
            memory.write(at, MemorySegment.ofArray(bytes));
        }
        memory.fill(5000, 9000, (byte) 3);
        Arrays.fill(model, 5000, 14000, (byte) 3);
        memory.store(4093, 8, 0x0102_0304_0506_0708L);
        for (int i = 0; i < 8; i++) {
            model[4093 + i] = (byte) (8 - i);
        }
        byte[] seen = new byte[model.length];
        memory.read(0, MemorySegment.ofArray(seen));
        assertThat(Arrays.mismatch(seen, model)).isEqualTo(-1);
        assertThat(memory.load(4094, 4)).isEqualTo(0x0405_0607L);
        assertThatThrownBy(() -> memory.load(model.length - 1, 2))
                .isInstanceOf(IndexOutOfBoundsException.class);
    }

    @Test
    void aPageOfTheShareHasOnePhysicalPage() {
        for (long page = 0; page < memory.npages(); page++) {
            assertThat(memory.pfnOf(page)).isEqualTo(page < 6 ? 103 + page : 114 + page);
            assertThat(share.pfnOf(page)).isEqualTo(memory.pfnOf(page));
        }
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
        MapDecision.Grant grant = memory.grant(request, most, Prot.READ);
        long firstOfPiece = request.page() < 6 ? 0 : 6;
        long endOfPiece = request.page() < 6 ? 6 : 11;
        long room =
                Math.min(request.endPage(), endOfPiece)
                        - Math.max(request.firstPage(), firstOfPiece);
        long end = grant.firstPage() + grant.pfns().npages();
        assertThat(grant.pfns().npages()).isEqualTo(Math.min(room, most));
        assertThat(request.page()).isBetween(grant.firstPage(), end - 1);
        assertThat(grant.firstPage()).isGreaterThanOrEqualTo(request.firstPage());
        assertThat(end).isLessThanOrEqualTo(request.endPage());
        assertThat(grant.pfns().firstPfn()).isEqualTo(share.pfnOf(grant.firstPage()));
        assertThat(grant.firstPage()).isGreaterThanOrEqualTo(firstOfPiece);
        assertThat(end).isLessThanOrEqualTo(endOfPiece);
        assertThat(grant.prot()).isEqualTo(Prot.READ);
    }

    private static MapRequest request(long page, long first, long end) {
        return new MapRequest(0, page, first, end, Access.READ, MapRequest.Reason.FIRST_TOUCH);
    }
}
