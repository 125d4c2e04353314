package dev.mdev.cli.verb;

import dev.mdev.cli.terminal.Terminal;
import dev.mdev.cli.text.Printable;
import dev.mdev.cli.text.Units;

/// Tells people at a terminal how far something is, on a line that goes when it ends.
final class Progress implements AutoCloseable {
    private final Terminal terminal;
    private final boolean isWanted;
    private boolean isShown;

    /// @param isWanted whether somebody looks
    Progress(Terminal terminal, boolean isWanted) {
        this.terminal = terminal;
        this.isWanted = isWanted;
    }

    /// Shows how many bytes have been transferred.
    void show(long sizeBytes) {
        if (isWanted) {
            isShown = true;
            terminal.renew(Units.bytes(sizeBytes) + " so far");
        }
    }

    /// Shows what is being done. It may have come from a driver, and is made safe.
    void tell(String words) {
        if (isWanted && !words.isEmpty()) {
            isShown = true;
            terminal.renew(Printable.of(words));
        }
    }

    @Override
    public void close() {
        if (isShown) {
            terminal.renew("");
        }
    }
}
