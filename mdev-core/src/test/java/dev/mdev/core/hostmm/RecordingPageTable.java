package dev.mdev.core.hostmm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/// Carries out nothing, and remembers what it was asked.
final class RecordingPageTable implements HostPageTable {
    final List<HvaRange> reserved = new ArrayList<>();
    final List<PfnRange> mapped = new ArrayList<>();
    final List<HvaRange> zapped = new ArrayList<>();
    Predicate<PfnRange> holds = _ -> true;
    @Nullable Errno zapErrno;
    Runnable onZap = () -> {};
    private long next = 0x1000_0000;

    @Override
    public HvaRange reserve(long npages, Kind kind) {
        HvaRange range = HvaRange.ofPages(next, npages);
        next = range.endHva() + Page.SIZE;
        reserved.add(range);
        return range;
    }

    @Override
    public void release(HvaRange range) {
        assertThat(reserved.remove(range)).isTrue();
    }

    @Override
    public void map(long hva, PfnRange pfns, Prot prot) {
        if (!holds.test(pfns)) {
            throw new MdevException(Errno.ENOMEM, "refused by the test");
        }
        mapped.add(pfns);
    }

    @Override
    public void zap(HvaRange range) {
        Errno errno = zapErrno;
        if (errno != null) {
            throw new MdevException(errno, "refused by the test");
        }
        zapped.add(range);
        onZap.run();
    }
}
