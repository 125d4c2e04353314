package dev.mdev.core.elastic;

import dev.mdev.api.MdevException;

/// Why a device gave up nothing that it was asked for. The units stay as they were.
sealed interface Trouble {
    String why();

    /// Its driver refused, or gave no answer, or its mappings could not be revoked.
    record Refused(String why) implements Trouble {}

    /// Its content could not be written away.
    record StoreFailed(MdevException cause) implements Trouble {
        @Override
        public String why() {
            return cause.errno() + ": " + cause.getMessage();
        }
    }
}
