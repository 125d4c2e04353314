package dev.mdev.gpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Aperture;
import dev.mdev.api.GuestMemory;
import dev.mdev.api.Interrupts;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MapRequest.Reason;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevType;
import dev.mdev.api.PoolShare;
import dev.mdev.api.ReportLevel;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.PfnRange;
import dev.mdev.testkit.SparseAperture;

import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.UUID;

/// The one interleaving that threads hardly ever hit: a guest that faults between the revocation
/// and its return.
final class DoorbellTest {
    private static final MapRequest TOUCH =
            new MapRequest(GpuDevice.QUEUE_BAR, 0, 0, 1, Access.WRITE, Reason.AFTER_REVOKE);

    private final Aperture aperture = new SparseAperture(new PfnRange(100, 4));

    /// Does something as soon as the page is revoked.
    private record Context(Runnable afterRevoke) implements MdevContext {
        @Override
        public boolean runStep(Runnable step) {
            step.run();
            return true;
        }

        @Override
        public UUID uuid() {
            return new UUID(0, 1);
        }

        @Override
        public MdevType type() {
            throw new UnsupportedOperationException();
        }

        @Override
        public List<PoolShare> share() {
            return List.of(new PoolShare(GpuParent.DOORBELL, List.of(new PfnRange(102, 1))));
        }

        @Override
        public void revoke(int region, long firstPage, long npages) {
            afterRevoke.run();
        }

        @Override
        public void ring(int doorbell) {
            throw new UnsupportedOperationException();
        }

        @Override
        public void report(ReportLevel level, String text) {
            throw new UnsupportedOperationException();
        }

        @Override
        public GuestMemory guestMemory() {
            throw new UnsupportedOperationException();
        }

        @Override
        public Interrupts interrupts() {
            throw new UnsupportedOperationException();
        }
    }

    @Test
    void aPageThatIsGrantedAsSoonAsItIsRevokedCountsAsMapped() {
        Doorbell[] doorbell = new Doorbell[1];
        doorbell[0] = new Doorbell(aperture, new Context(() -> doorbell[0].decide(TOUCH)));
        doorbell[0].decide(TOUCH);
        doorbell[0].arm();
        assertThat(doorbell[0].isLive()).isTrue();
    }

    @Test
    void anArmedDoorbellIsNotMapped() {
        Doorbell doorbell = new Doorbell(aperture, new Context(() -> {}));
        assertThat(doorbell.isLive()).isFalse();
        assertThat(doorbell.decide(TOUCH))
                .isInstanceOfSatisfying(
                        MapDecision.Grant.class,
                        grant -> assertThat(grant.pfns()).isEqualTo(new PfnRange(102, 1)));
        assertThat(doorbell.isLive()).isTrue();
        doorbell.arm();
        assertThat(doorbell.isLive()).isFalse();
    }
}
