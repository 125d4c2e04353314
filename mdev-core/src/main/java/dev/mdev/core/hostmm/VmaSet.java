package dev.mdev.core.hostmm;

import dev.mdev.core.addr.HvaRange;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// The vmas of a [HostMm], sorted and disjoint. Never changes; a change makes a new set.
final class VmaSet {
    static final VmaSet EMPTY = new VmaSet(new Vma[0]);

    private final Vma[] vmas;

    private VmaSet(Vma[] vmas) {
        this.vmas = vmas;
    }

    @Nullable Vma find(long hva) {
        int index = lastStartingAtOrBelow(hva);
        return index >= 0 && vmas[index].range().contains(hva) ? vmas[index] : null;
    }

    /// The vmas that share addresses with `range`, in order.
    List<Vma> overlapping(HvaRange range) {
        List<Vma> found = new ArrayList<>();
        for (int i = Math.max(0, lastStartingAtOrBelow(range.startHva())); i < vmas.length; i++) {
            if (vmas[i].range().startHva() >= range.endHva()) {
                break;
            }
            if (vmas[i].range().overlaps(range)) {
                found.add(vmas[i]);
            }
        }
        return found;
    }

    VmaSet with(Vma added) {
        if (!overlapping(added.range()).isEmpty()) {
            throw new IllegalStateException("overlaps a vma: " + added);
        }
        Vma[] copy = Arrays.copyOf(vmas, vmas.length + 1);
        int at = lastStartingAtOrBelow(added.range().startHva()) + 1;
        System.arraycopy(vmas, at, copy, at + 1, vmas.length - at);
        copy[at] = added;
        return new VmaSet(copy);
    }

    VmaSet without(Vma gone) {
        return new VmaSet(Arrays.stream(vmas).filter(vma -> vma != gone).toArray(Vma[]::new));
    }

    List<Vma> all() {
        return List.of(vmas);
    }

    private int lastStartingAtOrBelow(long hva) {
        int low = 0;
        int high = vmas.length;
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (vmas[middle].range().startHva() <= hva) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low - 1;
    }
}
