package dev.mdev.gate.sample.above;

/// Uses a class that does not use it.
public final class Lonely {
    private Lonely() {}

    /// Uses [Left].
    public static int number() {
        return Left.number() + 2;
    }
}
