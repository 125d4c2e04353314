package dev.mdev.core.x86;

/// Which slots of its own a machine needs, depending on how its processor virtualizes.
public enum VendorModel {
    /// Intel without unrestricted guest: real mode runs as virtual-8086 mode, needs a task state
    /// segment, and, because it is not paged, a page table that maps every address to itself.
    VMX_RESTRICTED(true, true),

    /// Intel with unrestricted guest.
    VMX_UNRESTRICTED(false, true),

    /// AMD with AVIC.
    SVM_AVIC(false, true),

    /// Processors that need no such slots.
    NONE(false, false);

    private final boolean helpsRealMode;
    private final boolean hasApicAccessPage;

    VendorModel(boolean helpsRealMode, boolean hasApicAccessPage) {
        this.helpsRealMode = helpsRealMode;
        this.hasApicAccessPage = hasApicAccessPage;
    }

    boolean helpsRealMode() {
        return helpsRealMode;
    }

    boolean hasApicAccessPage() {
        return hasApicAccessPage;
    }
}
