package dev.mdev.core.x86;

/// The processor behind a [SystemManagementMode]: its registers and its MMU. Called by the vCPU's
/// thread only.
public interface SmmCpu {
    /// Stores the registers of the interrupted program.
    void save(SmmState state);

    /// Drops or switches everything that the MMU derived from the vCPU's old mode. The vCPU is
    /// already in the new mode.
    void resetMmu();

    /// Gives the registers the values with which a handler begins: RIP 0x8000, paging and
    /// protection off, flat segments, CS based at smbase, no IDT.
    ///
    /// @return false if they cannot be loaded, which ends the machine
    boolean startHandler(long smbase);

    /// Masks or unmasks non-maskable interrupts.
    ///
    /// @return whether they were masked before
    boolean maskNmi(boolean masked);

    /// Loads the registers of the interrupted program.
    ///
    /// @return false if the handler left values there that cannot be loaded
    boolean restore(SmmState state);

    /// Vendor-specific steps on entry, after [#save], still in the old mode: leaving a nested
    /// guest.
    ///
    /// @return false on a failure, which ends the machine
    default boolean beforeEntry(SmmState state) {
        return true;
    }

    /// Vendor-specific steps on exit, before [#restore], already in the old mode: entering a nested
    /// guest again.
    ///
    /// @return false if the instruction cannot be carried out
    default boolean beforeRestore(SmmState state) {
        return true;
    }
}
