package dev.mdev.gate.sample.below;

import dev.mdev.gate.sample.above.Lonely;

/// Uses a class of the package above.
public final class Below {
    private Below() {}

    /// Uses [Lonely].
    public static int number() {
        return Lonely.number() + 1;
    }
}
