package dev.mdev.gate.sample.above;

/// The other half of the circle.
public final class Right {
    private Right() {}

    /// Uses [Left].
    public static int number() {
        return Left.number() + 1;
    }
}
