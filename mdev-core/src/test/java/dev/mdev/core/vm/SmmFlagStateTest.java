package dev.mdev.core.vm;

import dev.mdev.core.memslot.SmmDesign;

/// The proposal of 2015, which only this engine has.
class SmmFlagStateTest extends SmmStateTest {
    @Override
    SmmDesign design() {
        return SmmDesign.SLOT_FLAG;
    }
}
