package dev.mdev.core.engine.kvm.mm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Page;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.engine.kvm.mm.VmaMap.Target;
import dev.mdev.core.support.Seeded;

import org.junit.jupiter.api.Test;

import java.util.SplittableRandom;

class VmaMapTest {
    private static final int NPAGES = 24;
    private static final long BASE = 0x7000_0000L;
    private static final int STEPS = Integer.getInteger("mdev.vmamap.steps", 20_000);

    private final Target[] model = new Target[NPAGES];

    /// Against an array of one target a page.
    @Test
    void behavesAsAnArrayOfPagesWhoseEqualNeighboursMerge() {
        Seeded.run(1, this::randomSteps);
    }

    private void randomSteps(SplittableRandom random) {
        Target backdrop = new Target(3, BASE, 3);
        VmaMap map = new VmaMap(pages(0, NPAGES), backdrop);
        for (int page = 0; page < NPAGES; page++) {
            model[page] = backdrop.plus(Page.addressOf(page));
        }
        for (int step = 0; step < STEPS; step++) {
            int first = random.nextInt(NPAGES);
            int npages = 1 + random.nextInt(NPAGES - first);
            Target target =
                    random.nextInt(3) == 0
                            ? backdrop.plus(Page.addressOf(first))
                            : new Target(
                                    4,
                                    Page.addressOf(first + random.nextInt(3)),
                                    1 + random.nextInt(2) * 2);
            int before = map.count();

            int more = map.set(pages(first, npages), target);

            for (int page = 0; page < npages; page++) {
                model[first + page] = target.plus(Page.addressOf(page));
            }
            String where = "step=" + step;
            assertThat(map.count()).as(where).isEqualTo(before + more).isEqualTo(runs());
            check(map, random, where);
        }
    }

    private int runs() {
        int runs = 1;
        for (int page = 1; page < NPAGES; page++) {
            runs += model[page - 1].plus(Page.SIZE).equals(model[page]) ? 0 : 1;
        }
        return runs;
    }

    private void check(VmaMap map, SplittableRandom random, String where) {
        int first = random.nextInt(NPAGES);
        int npages = 1 + random.nextInt(NPAGES - first);
        int page = first;
        for (VmaMap.Part part : map.partsOf(pages(first, npages))) {
            assertThat(part.range().startHva()).as(where).isEqualTo(hva(page));
            for (int i = 0; i < part.range().npages(); i++) {
                assertThat(part.target().plus(Page.addressOf(i))).as(where).isEqualTo(model[page]);
                page++;
            }
        }
        assertThat(page).as(where).isEqualTo(first + npages);
        HvaRange widened = map.widened(pages(first, npages));
        assertThat(widened.contains(pages(first, npages))).as(where).isTrue();
        assertThat(beginsARun(widened.startHva())).as(where).isTrue();
        assertThat(beginsARun(widened.endHva())).as(where).isTrue();
    }

    private boolean beginsARun(long hva) {
        int page = (int) Page.numberOf(hva - BASE);
        return page == 0 || page == NPAGES || !model[page - 1].plus(Page.SIZE).equals(model[page]);
    }

    private static HvaRange pages(int first, int npages) {
        return HvaRange.ofPages(hva(first), npages);
    }

    private static long hva(int page) {
        return BASE + Page.addressOf(page);
    }
}
