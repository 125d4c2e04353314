package dev.mdev.host.mdev;

import jakarta.validation.Valid;
import jakarta.validation.constraints.NotNull;
import jakarta.validation.constraints.Size;

import java.util.List;

/// Definitions as files of mdevctl: the body of an import, and the answer of an export.
record MdevctlFiles(@NotNull @Size(max = MAX_FILES) List<@NotNull @Valid MdevctlFile> files) {
    static final int MAX_FILES = 4096;
}
