package dev.mdev.core.machinestate;

import java.io.IOException;

/// Takes sections.
@FunctionalInterface
interface SectionSink {
    /// @param length bytes of the payload that count
    void section(int tag, byte[] payload, int length) throws IOException;
}
