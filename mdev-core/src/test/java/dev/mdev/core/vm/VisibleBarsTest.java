package dev.mdev.core.vm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.pci.BarWindow;
import dev.mdev.core.support.Seeded;

import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

class VisibleBarsTest {
    private static final int UNIVERSE = 256;

    @Test
    void everyAddressBelongsToTheNewestClaimThatNoFixedRangeCovers() {
        Seeded.run(2000, VisibleBarsTest::compareWithOneAddressAtATime);
    }

    private static void compareWithOneAddressAtATime(SplittableRandom random) {
        List<VisibleBars.Fixed> fixed = new ArrayList<>();
        for (int i = random.nextInt(3); i > 0; i--) {
            int gpa = random.nextInt(UNIVERSE);
            fixed.add(new VisibleBars.Fixed(gpa, random.nextInt(UNIVERSE - gpa)));
        }
        List<BarClaim> claims = new ArrayList<>();
        int count = random.nextInt(8);
        List<Integer> orders = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            orders.add(orders.isEmpty() ? 0 : random.nextInt(orders.size() + 1), i);
        }
        for (int i = 0; i < count; i++) {
            int size = 1 << random.nextInt(7);
            int gpa = random.nextInt(UNIVERSE / size) * size;
            claims.add(claim(i, gpa, size, orders.get(i)));
        }

        List<VisibleBars.Part> parts = VisibleBars.of(fixed, claims);

        int[] seen = new int[UNIVERSE];
        Arrays.fill(seen, -1);
        for (VisibleBars.Part part : parts) {
            assertThat(part.sizeBytes()).isPositive();
            for (long at = part.gpa(); at < part.gpa() + part.sizeBytes(); at++) {
                assertThat(seen[(int) at]).as("disjoint").isEqualTo(-1);
                seen[(int) at] = part.claim().window().region();
                assertThat(part.offsetBytes() + at - part.gpa())
                        .isEqualTo(at - part.claim().window().gpa());
            }
        }
        for (int at = 0; at < UNIVERSE; at++) {
            assertThat(seen[at]).as("address %d", at).isEqualTo(expected(fixed, claims, at));
        }
    }

    private static int expected(List<VisibleBars.Fixed> fixed, List<BarClaim> claims, int at) {
        for (VisibleBars.Fixed range : fixed) {
            if (at >= range.gpa() && at < range.gpa() + range.sizeBytes()) {
                return -1;
            }
        }
        BarClaim newest = null;
        for (BarClaim claim : claims) {
            BarWindow window = claim.window();
            if (at >= window.gpa()
                    && at < window.endGpa()
                    && (newest == null || claim.order() > newest.order())) {
                newest = claim;
            }
        }
        return newest == null ? -1 : newest.window().region();
    }

    /// A claim of no particular device.
    @SuppressWarnings("NullAway") // nobody looks at the device
    private static BarClaim claim(int region, int gpa, int size, int order) {
        return new BarClaim(null, new BarWindow(region, gpa, size), order);
    }
}
