package dev.mdev.core.hostmm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Prot;
import dev.mdev.core.support.Seeded;

import org.junit.jupiter.api.Test;

import java.util.TreeMap;

class PteTableTest {
    @Test
    void agreesWithAMapAndSkipsNoEntry() {
        Seeded.run(
                300,
                random -> {
                    int npages = random.nextInt(1, 3000);
                    PteTable table = new PteTable(npages);
                    TreeMap<Long, Long> entries = new TreeMap<>();
                    for (int step = 0; step < 50; step++) {
                        long page = random.nextInt(npages);
                        long pte =
                                random.nextInt(3) == 0
                                        ? HostPte.NONE
                                        : HostPte.of(random.nextInt(1 << 20), Prot.READ_WRITE);
                        long before = entries.getOrDefault(page, HostPte.NONE);
                        assertThat(table.setReleaseLocked(page, pte)).isEqualTo(before);
                        if (HostPte.isPresent(pte)) {
                            entries.put(page, pte);
                        } else {
                            entries.remove(page);
                        }
                        assertThat(table.present()).isEqualTo(entries.size());
                        long looked = random.nextInt(npages);
                        assertThat(table.getAcquire(looked))
                                .isEqualTo(entries.getOrDefault(looked, HostPte.NONE));

                        long from = random.nextInt(npages);
                        long end = random.nextLong(from, npages + 1);
                        long next = table.skipAbsent(from, end);
                        assertThat(next).isBetween(from, end);
                        assertThat(entries.subMap(from, next)).as("skipped").isEmpty();
                        assertThat(table.presentIn(from, end))
                                .isEqualTo(entries.subMap(from, end).size());
                    }
                });
    }

    @Test
    void leavesThatWereNeverMadeAreSkippedAsAWhole() {
        PteTable table = new PteTable(4096);
        table.setReleaseLocked(1500, HostPte.of(7, Prot.READ));

        assertThat(table.skipAbsent(3, 4096)).isEqualTo(1024);
        assertThat(table.skipAbsent(1024, 4096)).isEqualTo(1024);
        assertThat(table.skipAbsent(1536, 4096)).isEqualTo(4096);
        assertThat(table.skipAbsent(1536, 2000)).isEqualTo(2000);
    }

    @Test
    void entriesHoldAPfnAndRights() {
        for (Prot prot : new Prot[] {Prot.READ, Prot.READ_WRITE}) {
            for (long pfn : new long[] {0, 1, 0x1234_5678_9abcL, (1L << 61) - 1}) {
                long pte = HostPte.of(pfn, prot);
                assertThat(HostPte.isPresent(pte)).isTrue();
                assertThat(HostPte.pfn(pte)).isEqualTo(pfn);
                assertThat(HostPte.prot(pte)).isEqualTo(prot);
            }
        }
        assertThat(HostPte.isPresent(HostPte.NONE)).isFalse();
    }
}
