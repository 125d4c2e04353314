package dev.mdev.core.vm;

import dev.mdev.api.RegionInfo;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.RegionAccess;
import dev.mdev.core.hostmm.Vma;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// A mediated device in a machine: where its BARs are, and what has to be undone to take it out.
/// Changed under the machine's lock.
public final class AttachedDevice {
    private final Mdev mdev;
    private final long epoch;
    private final Map<Integer, Long> barGpas = new LinkedHashMap<>();
    private final List<Integer> slotNumbers = new ArrayList<>();
    private final List<MmioBus.Window> windows = new ArrayList<>();
    private final List<Vma> vmas = new ArrayList<>();

    /// @param epoch what [Mdev#assign] returned
    AttachedDevice(Mdev mdev, long epoch) {
        this.mdev = mdev;
        this.epoch = epoch;
    }

    public Mdev mdev() {
        return mdev;
    }

    /// The guest-physical address of each BAR, by its index.
    public Map<Integer, Long> barGpas() {
        return Map.copyOf(barGpas);
    }

    /// The guest-physical address of a BAR.
    public Optional<Long> barGpa(int bar) {
        return Optional.ofNullable(barGpas.get(bar));
    }

    void placed(RegionInfo region, long gpa) {
        barGpas.put(region.index(), gpa);
    }

    List<Integer> slotNumbers() {
        return slotNumbers;
    }

    List<MmioBus.Window> windows() {
        return windows;
    }

    List<Vma> vmas() {
        return vmas;
    }

    /// Answers accesses to a region that have no mapping.
    MmioBus.Target targetOf(RegionInfo region) {
        return new MmioBus.Target() {
            @Override
            public RegionAccess read(long offsetBytes, int widthBytes) {
                return mdev.read(epoch, region.index(), offsetBytes, widthBytes);
            }

            @Override
            public RegionAccess write(long offsetBytes, int widthBytes, long value) {
                return mdev.write(epoch, region.index(), offsetBytes, widthBytes, value);
            }
        };
    }
}
