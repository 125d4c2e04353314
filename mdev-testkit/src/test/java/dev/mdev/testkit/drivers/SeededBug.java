package dev.mdev.testkit.drivers;

/// A driver with one bug, and the test of the conformance suite that has to find it.
interface SeededBug {
    Variant newDriver();

    /// The test that has to find it, whichever others do.
    String foundBy();
}
