package dev.mdev.core.engine.barfile;

import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.dirty.DirtyLog;
import dev.mdev.core.dirty.DirtyModes;
import dev.mdev.core.dirty.DirtyRingCollector;
import dev.mdev.core.dma.WriteWatches;
import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.EngineProbe;
import dev.mdev.core.engine.GuestEngine;
import dev.mdev.core.engine.ScriptedDriver;
import dev.mdev.core.engine.StaleGrantContract;
import dev.mdev.core.engine.VcpuEngine;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.hostmm.HostPageTable;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.SmmDesign;
import dev.mdev.core.topology.VcpuPause;

import java.util.List;
import java.util.Optional;

/// The page table of a BAR file, without a kernel.
class BarStaleGrantTest extends StaleGrantContract {
    private final FakeKernel kernel = new FakeKernel();
    private boolean isForTheMachine = true;

    /// The machine itself, of which the contract uses nothing, comes first.
    @Override
    protected Engine engine() {
        SoftwareEngine software = new SoftwareEngine(DEADLINE);
        if (isForTheMachine) {
            isForTheMachine = false;
            return software;
        }
        return new Files(software);
    }

    @Override
    protected HostMemory newMemory() {
        return HostMemory.withHomes(new OffHeapBackend(), Long.MAX_VALUE);
    }

    private final class Files implements Engine {
        private final SoftwareEngine software;

        Files(SoftwareEngine software) {
            this.software = software;
        }

        @Override
        public String name() {
            return "barfile";
        }

        @Override
        public EngineProbe probe() {
            return new EngineProbe(List.of());
        }

        @Override
        public int physicalAddressBits() {
            return software.physicalAddressBits();
        }

        @Override
        public Optional<String> lacksSmm(SmmDesign design) {
            return software.lacksSmm(design);
        }

        @Override
        public GuestEngine createGuest(AddressSpaces slots, HostMemory memory) {
            long sizeBytes = Page.bytesOf(ScriptedDriver.DEVICE_PAGES);
            BarNode node =
                    new BarNode(
                            kernel.sys,
                            kernel.connection,
                            2,
                            List.of(new BarFile.Area(0, sizeBytes)),
                            memory,
                            BarFileOptions.DEFAULT);
            HostMm mm =
                    new HostMm(
                            new FromStart(new BarPageTable(node.pages(), sizeBytes)),
                            memory,
                            DEADLINE);
            return new Guest(software.createGuest(slots, memory), mm);
        }
    }

    /// Every mapping is the file from its start.
    private record FromStart(BarPageTable table) implements HostPageTable {
        @Override
        public HvaRange reserve(long npages, Kind kind) {
            table.next(0);
            return table.reserve(npages, kind);
        }

        @Override
        public void release(HvaRange range) {
            table.release(range);
        }

        @Override
        public void map(long hva, PfnRange pfns, Prot prot) {
            table.map(hva, pfns, prot);
        }

        @Override
        public void zap(HvaRange range) {
            table.zap(range);
        }
    }

    /// Only its mappings differ.
    private record Guest(GuestEngine software, HostMm hostMm) implements GuestEngine {
        @Override
        public VcpuPause pause() {
            return software.pause();
        }

        @Override
        public DirtyLog dirtyLog() {
            return software.dirtyLog();
        }

        @Override
        public DirtyModes dirtyModes() {
            return software.dirtyModes();
        }

        @Override
        public void enableDirtyTracking(int capability, int flags, long optionBits) {
            software.enableDirtyTracking(capability, flags, optionBits);
        }

        @Override
        public DirtyRingCollector ringCollector() {
            return software.ringCollector();
        }

        @Override
        public Optional<WriteWatches> writeWatches() {
            return software.writeWatches();
        }

        @Override
        public VcpuEngine createVcpu(int vcpuId) {
            return software.createVcpu(vcpuId);
        }

        @Override
        public void close() {
            hostMm.close();
            software.close();
        }
    }
}
