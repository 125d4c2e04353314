package dev.mdev.core.vm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.pci.RegionAccess;
import dev.mdev.core.support.Seeded;

import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/// What two states of an address space have in common.
class GuestSpaceTest {
    private static final int UNIVERSE = 64;
    private static final List<MmioBus.Target> TARGETS = List.of(new Silent(), new Silent());

    @Test
    void theCommonPartIsWhatBothShowAtTheSameAddress() {
        Seeded.run(
                2000,
                random -> {
                    List<MmioBus.Window> these = windows(random);
                    List<MmioBus.Window> others = windows(random);

                    List<MmioBus.Window> common = GuestSpace.common(these, others);

                    for (int gpa = 0; gpa < UNIVERSE; gpa++) {
                        Seen expected = seenAt(these, gpa);
                        if (!expected.equals(seenAt(others, gpa))) {
                            expected = Seen.NOTHING;
                        }
                        assertThat(seenAt(common, gpa)).as("%d", gpa).isEqualTo(expected);
                    }
                });
    }

    private record Seen(int target, long offsetBytes) {
        static final Seen NOTHING = new Seen(-1, 0);
    }

    private static Seen seenAt(List<MmioBus.Window> windows, long gpa) {
        Seen seen = Seen.NOTHING;
        for (MmioBus.Window window : windows) {
            if (gpa >= window.gpa() && gpa < window.endGpa()) {
                assertThat(seen).as("disjoint").isEqualTo(Seen.NOTHING);
                seen = new Seen(TARGETS.indexOf(window.target()), window.offsetOf(gpa));
            }
        }
        return seen;
    }

    private static List<MmioBus.Window> windows(SplittableRandom random) {
        List<MmioBus.Window> windows = new ArrayList<>();
        long gpa = random.nextInt(8);
        while (true) {
            long size = 1L + random.nextInt(12);
            if (gpa + size > UNIVERSE) {
                return windows;
            }
            // Mostly the same place of the target at the same address.
            long offset = random.nextInt(4) == 0 ? 0 : gpa;
            windows.add(new MmioBus.Window(gpa, size, TARGETS.get(random.nextInt(2)), offset));
            gpa += size + random.nextInt(6);
        }
    }

    private static final class Silent implements MmioBus.Target {
        @Override
        public RegionAccess read(long offsetBytes, int widthBytes) {
            return new RegionAccess.Done(0);
        }

        @Override
        public RegionAccess write(long offsetBytes, int widthBytes, long value) {
            return new RegionAccess.Done(0);
        }
    }
}
