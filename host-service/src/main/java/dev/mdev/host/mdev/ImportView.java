package dev.mdev.host.mdev;

import org.jspecify.annotations.Nullable;

import java.util.List;

/// What became of each file of an import, in their order.
record ImportView(List<FileView> files) {
    /// The result for a file.
    enum Outcome {
        /// The definition is new.
        DEFINED,
        /// A definition of this uuid got the start and attributes of the file.
        CHANGED,
        /// The same definition was there.
        UNCHANGED,
        /// The file has no effect.
        REFUSED
    }

    /// @param reason why it was refused
    record FileView(String path, Outcome outcome, @Nullable String reason) {}
}
