package dev.mdev.core.memslot;

/// How memory that only system management mode (SMM) sees is kept from the rest of a machine.
public enum SmmDesign {
    /// The machine has no system management mode.
    NONE("off"),

    /// Processors in SMM use an address space of their own, with slots of its own (Linux since
    /// 4.2).
    ADDRESS_SPACE("address-space"),

    /// One address space, in which a flag hides slots from processors outside SMM
    /// ([SlotFlags#SMRAM]): a proposal for Linux of May 2015, which was not merged.
    SLOT_FLAG("slot-flag");

    private final String word;

    SmmDesign(String word) {
        this.word = word;
    }

    /// The value of a machine's option.
    @Override
    public String toString() {
        return word;
    }
}
