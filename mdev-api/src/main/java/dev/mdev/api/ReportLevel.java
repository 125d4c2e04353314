package dev.mdev.api;

/// How bad it is what a driver tells the operator: see [Reporter#report].
public enum ReportLevel {
    /// The device works, with less than it should have, or after another try.
    WARNING,

    /// The device has failed its guest: work was lost, or it cannot go on.
    ERROR
}
