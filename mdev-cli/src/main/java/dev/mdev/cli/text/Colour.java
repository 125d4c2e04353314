package dev.mdev.cli.text;

/// The colours of a terminal that words may have.
public enum Colour {
    PLAIN(""),
    GOOD("\u001b[32m"),
    WARNING("\u001b[33m"),
    BAD("\u001b[31m"),
    FAINT("\u001b[2m");

    private static final String END = "\u001b[0m";

    private final String begin;

    Colour(String begin) {
        this.begin = begin;
    }

    /// The text in this colour.
    public String paint(String text) {
        return this == PLAIN ? text : begin + text + END;
    }
}
