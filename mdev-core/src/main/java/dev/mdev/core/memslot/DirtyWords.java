package dev.mdev.core.memslot;

/// Takes the set bits of a bitmap, a word at a time.
@FunctionalInterface
public interface DirtyWords {
    /// Takes one word.
    ///
    /// @param word the word's index: its bit 0 is page `64 * word`
    /// @param bits the pages of that word that are set, never 0
    void accept(int word, long bits);
}
