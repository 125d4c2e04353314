package dev.mdev.core.memslot;

/// The seed of a random test: given on the command line, else fresh.
final class Seeds {
    private Seeds() {}

    static long fresh() {
        Long given = Long.getLong("mdev.seed");
        return given != null ? given : System.nanoTime();
    }
}
