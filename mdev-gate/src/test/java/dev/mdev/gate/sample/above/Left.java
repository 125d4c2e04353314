package dev.mdev.gate.sample.above;

/// Uses [Right] from a nested class, and is used by it.
public final class Left {
    private Left() {}

    /// Where the use is.
    public static final class Inner {
        private Inner() {}

        /// Uses it.
        public static int right() {
            return Right.number();
        }
    }

    /// A number.
    public static int number() {
        return 1;
    }
}
