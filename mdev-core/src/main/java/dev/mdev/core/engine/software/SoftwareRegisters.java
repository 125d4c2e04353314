package dev.mdev.core.engine.software;

import dev.mdev.core.x86.SmmCpu;
import dev.mdev.core.x86.SmmState;

/// The registers of a software processor, as system management mode saves and loads them. The
/// processor has no program of its own: it saves what a guest in 64-bit mode would have in its
/// control registers, and refuses what Linux refuses to load (`rsm_load_state_64`).
final class SoftwareRegisters implements SmmCpu {
    // Offsets of the AMD64 state-save area.
    private static final int CR0 = 0x7f58;
    private static final int CR4 = 0x7f48;
    private static final int DR6 = 0x7f68;
    private static final int DR7 = 0x7f60;
    private static final int EFER = 0x7ed0;
    private static final int RFLAGS = 0x7f70;

    private static final long CR0_PG_AM_WP_NE_ET_MP_PE = 0x8005_0033L;
    private static final long CR4_PAE_OSFXSR_OSXMMEXCPT = 0x620;
    private static final long EFER_LMA_LME = 0x500;
    private static final long DR6_FIXED = 0xffff_0ff0L;
    private static final long DR7_FIXED = 0x400;
    private static final long RFLAGS_FIXED = 2;

    private final Runnable dropTranslations;
    private boolean nmiMasked;

    SoftwareRegisters(Runnable dropTranslations) {
        this.dropTranslations = dropTranslations;
    }

    @Override
    public void save(SmmState state) {
        state.setLong(CR0, CR0_PG_AM_WP_NE_ET_MP_PE);
        state.setLong(CR4, CR4_PAE_OSFXSR_OSXMMEXCPT);
        state.setLong(EFER, EFER_LMA_LME);
        state.setLong(DR6, DR6_FIXED);
        state.setLong(DR7, DR7_FIXED);
        state.setLong(RFLAGS, RFLAGS_FIXED);
    }

    @Override
    public void resetMmu() {
        dropTranslations.run();
    }

    @Override
    public boolean startHandler(long smbase) {
        return true;
    }

    @Override
    public boolean maskNmi(boolean masked) {
        boolean before = nmiMasked;
        nmiMasked = masked;
        return before;
    }

    /// The upper halves of debug registers must be zero.
    @Override
    public boolean restore(SmmState state) {
        return state.getLong(DR6) >>> Integer.SIZE == 0 && state.getLong(DR7) >>> Integer.SIZE == 0;
    }
}
