package dev.mdev.core.x86;

import dev.mdev.core.memslot.VcpuMemslots;

import java.util.ArrayList;
import java.util.List;

/// A processor with one register, which writes down in which mode it is called.
final class FakeCpu implements SmmCpu {
    static final int RIP = 0x7f78;

    final List<String> calls = new ArrayList<>();
    long rip;
    boolean nmiMasked;
    boolean failsBeforeEntry;
    boolean failsStart;
    boolean failsBeforeRestore;
    boolean failsRestore;

    private final VcpuMemslots slots;

    FakeCpu(VcpuMemslots slots) {
        this.slots = slots;
    }

    @Override
    public void save(SmmState state) {
        note("save");
        state.setLong(RIP, rip);
    }

    @Override
    public boolean beforeEntry(SmmState state) {
        note("beforeEntry");
        return !failsBeforeEntry;
    }

    @Override
    public void resetMmu() {
        note("resetMmu");
    }

    @Override
    public boolean startHandler(long smbase) {
        note("startHandler");
        rip = 0x8000;
        return !failsStart;
    }

    @Override
    public boolean maskNmi(boolean masked) {
        note(masked ? "maskNmi" : "unmaskNmi");
        boolean before = nmiMasked;
        nmiMasked = masked;
        return before;
    }

    @Override
    public boolean beforeRestore(SmmState state) {
        note("beforeRestore");
        return !failsBeforeRestore;
    }

    @Override
    public boolean restore(SmmState state) {
        note("restore");
        rip = state.getLong(RIP);
        return !failsRestore;
    }

    private void note(String call) {
        calls.add(call + (slots.isInSmm() ? " in SMM" : ""));
    }
}
