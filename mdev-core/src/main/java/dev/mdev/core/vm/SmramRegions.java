package dev.mdev.core.vm;

import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.memslot.SmmDesign;
import dev.mdev.core.pci.BarWindow;
import dev.mdev.core.topology.MemoryRegion;
import dev.mdev.core.topology.RegionOwner;
import dev.mdev.core.topology.TopologyEdit;

/// SMRAM in a machine's tree of memory: RAM that only processors in system management mode see, at
/// 0xa0000 and in TSEG, the last MiB of RAM below 4 GiB.
///
///     smm      smram:  SMRAM at 0xa0000, TSEG       priority 10
///              all of system                        priority 0
///     system   SMRAM at 0xa0000, where it is open   priority 2
///              nothing, where TSEG is               priority 1
///
/// Changed under the lock of [MemoryLayout].
final class SmramRegions {
    /// Where SMRAM lies under the memory of a display.
    static final long LOW_GPA = BarWindow.VGA_MEMORY_GPA;

    static final long TSEG_BYTES = 1L << 20;

    /// Above the memory of a display, and above RAM.
    private static final int OPEN_PRIORITY = 2;

    private static final int HOLE_PRIORITY = 1;
    private static final int SMRAM_PRIORITY = 10;
    private static final long LOW_BYTES = BarWindow.VGA_MEMORY_BYTES;

    /// The distance of two processors' areas: the handler has the first half, and the state of
    /// another processor the second.
    private static final long SMBASE_STEP = 1L << 10;

    private final long tsegGpa;
    private final MemoryRegion root;
    private final MemoryRegion smram;
    private final MemoryRegion low;
    private final MemoryRegion tseg;
    private final MemoryRegion open;
    private final MemoryRegion hole;

    /// @param ram all RAM
    /// @param host its memory
    SmramRegions(MachineSpec spec, RegionOwner owner, MemoryRegion ram, HvaRange host) {
        tsegGpa = tsegGpa(spec);
        root = MemoryRegion.wholeSpace(owner, "smm");
        smram = MemoryRegion.wholeSpace(owner, "smram");
        boolean flagged = spec.smm() == SmmDesign.SLOT_FLAG;
        low =
                flagged
                        ? MemoryRegion.smram(owner, "smram-low", part(host, LOW_GPA, LOW_BYTES))
                        : MemoryRegion.alias("smram-low", ram, LOW_GPA, LOW_BYTES);
        tseg =
                flagged
                        ? MemoryRegion.smram(owner, "smram-tseg", part(host, tsegGpa, TSEG_BYTES))
                        : MemoryRegion.alias("smram-tseg", ram, tsegGpa, TSEG_BYTES);
        open = MemoryRegion.alias("smram-open", ram, LOW_GPA, LOW_BYTES);
        hole = MemoryRegion.mmio(owner, "tseg-hole", TSEG_BYTES);
    }

    private static HvaRange part(HvaRange host, long offsetBytes, long lengthBytes) {
        return new HvaRange(host.startHva() + offsetBytes, lengthBytes);
    }

    /// Where TSEG begins.
    static long tsegGpa(MachineSpec spec) {
        return spec.lowRamBytes() - TSEG_BYTES;
    }

    /// Where a processor's handler and saved state are, as firmware sets it: all of them lie in
    /// SMRAM at 0xa0000.
    static long smbaseOf(int vcpuId) {
        return LOW_GPA + vcpuId * SMBASE_STEP;
    }

    /// What processors in system management mode see.
    MemoryRegion root() {
        return root;
    }

    void place(TopologyEdit edit, MemoryRegion system) {
        edit.add(system, open, LOW_GPA, OPEN_PRIORITY);
        edit.add(system, hole, tsegGpa, HOLE_PRIORITY);
        edit.add(smram, low, LOW_GPA, 0);
        edit.add(smram, tseg, tsegGpa, 0);
        edit.add(root, smram, 0, SMRAM_PRIORITY);
        edit.add(root, MemoryRegion.alias("smm-system", system), 0, 0);
        edit.setMergeable(open, false);
        edit.setMergeable(low, false);
        edit.setMergeable(tseg, false);
    }

    void set(TopologyEdit edit, HostBridge.Registers registers) {
        edit.setEnabled(open, registers.isOpen());
        edit.setEnabled(low, registers.hasSmram() && !registers.isOpen());
        edit.setEnabled(hole, registers.hasTseg());
        edit.setEnabled(tseg, registers.hasTseg());
    }
}
