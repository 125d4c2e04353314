package dev.mdev.core.topology;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.util.ArrayList;
import java.util.List;

/// Records the views that a listener receives.
final class Recorder implements TopologyListener {
    /// In the order of the changes.
    final List<FlatView> heard = new ArrayList<>();

    private FlatView view = FlatView.EMPTY;
    private boolean refusesNext;

    /// Makes the next commit fail.
    void refuseNext() {
        refusesNext = true;
    }

    /// The view that it accepted last.
    FlatView view() {
        return view;
    }

    @Override
    public void commit(FlatView next) {
        heard.add(next);
        if (refusesNext) {
            refusesNext = false;
            throw new MdevException(Errno.ENOMEM, "asked to refuse");
        }
        view = next;
    }
}
