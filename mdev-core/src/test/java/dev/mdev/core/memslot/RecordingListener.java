package dev.mdev.core.memslot;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;

/// Records its calls, and refuses on request.
final class RecordingListener implements SlotListener {
    final List<String> heard = new ArrayList<>();
    private final String name;
    private @Nullable Errno refusal;

    RecordingListener(String name) {
        this.name = name;
    }

    RecordingListener() {
        this("");
    }

    /// Refuses every change from now on; null: refuses none.
    void refuseWith(@Nullable Errno errno) {
        refusal = errno;
    }

    @Override
    public void prepare(SlotChange change) {
        heard.add(name + "prepare " + change.kind());
        if (refusal != null) {
            throw new MdevException(refusal, "refused on request");
        }
    }

    @Override
    public void flush(Memslot invalid) {
        heard.add(name + "flush " + invalid.id() + (invalid.isInvalid() ? " invalid" : " valid"));
    }

    @Override
    public void commit(SlotChange change) {
        heard.add(name + "commit " + change.kind());
    }

    @Override
    public void abort(SlotChange change) {
        heard.add(name + "abort " + change.kind());
    }

    @Override
    public void generationChanged(int asId, long generation) {
        heard.add(name + "generation " + asId + "=" + generation);
    }
}
