package dev.mdev.core.topology;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.topology.TopologyEdit.Savepoint;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;

/// The memory of one virtual machine as its monitor describes it: regions, and the address spaces
/// that show them.
///
/// One transaction runs at a time, and it is atomic: if the edits throw, nothing has changed; if a
/// listener refuses (for example because the kernel has no more slots), the other listeners get the
/// reverse changes.
public final class Topology implements RegionOwner {
    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private final List<TopologySpace> spaces = new ArrayList<>();

    @GuardedBy("lock")
    private Set<DirtyClient> globalLog = Set.of();

    /// The running transaction, for nested calls to join.
    @GuardedBy("lock")
    private @Nullable TopologyEdit running;

    @GuardedBy("lock")
    private boolean telling;

    /// Runs a transaction. A nested call joins it: its edits take effect when the outer transaction
    /// ends, and if they throw, only they are undone.
    ///
    /// @throws IllegalStateException if a listener calls
    /// @throws MdevException the error of the edits or a listener; nothing has changed then
    public void edit(Consumer<TopologyEdit> edits) {
        lock.lock();
        try {
            checkNotNotifying();
            TopologyEdit outer = running;
            if (outer != null) {
                nest(outer, edits);
                return;
            }
            TopologyEdit edit = new TopologyEdit(this, globalLog);
            running = edit;
            try {
                edits.accept(edit);
            } finally {
                edit.close();
                running = null;
            }
            commit(edit);
        } finally {
            lock.unlock();
        }
    }

    /// Adds an address space; its root is at address 0, or, if the root is also in a container, at
    /// its offset there (as in QEMU). The listener receives the whole view.
    ///
    /// @throws MdevException `EINVAL` if the root belongs to another topology; otherwise the
    ///   listener's error, and then the space is not attached
    public TopologySpace attach(String name, MemoryRegion root, TopologyListener listener) {
        lock.lock();
        try {
            checkBetweenTransactions();
            if (root.owner() != this) {
                throw new MdevException(
                        Errno.EINVAL, "region=%s is of another topology".formatted(root));
            }
            TopologySpace space = new TopologySpace(name, root, listener);
            TopologyEdit current = new TopologyEdit(this, globalLog);
            notifyAllListeners(
                    List.of(
                            new Step(
                                    space,
                                    FlatView.EMPTY,
                                    FlatViewRenderer.render(root, current))));
            spaces.add(space);
            return space;
        } finally {
            lock.unlock();
        }
    }

    /// What an address space would show after some edits, which are then dropped.
    ///
    /// @throws MdevException the error of the edits
    public FlatView preview(TopologySpace space, Consumer<TopologyEdit> edits) {
        lock.lock();
        try {
            checkBetweenTransactions();
            TopologyEdit draft = new TopologyEdit(this, globalLog);
            try {
                edits.accept(draft);
            } finally {
                draft.close();
            }
            return FlatViewRenderer.render(space.root(), draft);
        } finally {
            lock.unlock();
        }
    }

    /// Removes an address space; its listener receives an empty view.
    ///
    /// @throws MdevException `ENOENT` if it is not attached; otherwise the listener's error, and
    ///   then it stays attached
    public void detach(TopologySpace space) {
        lock.lock();
        try {
            checkBetweenTransactions();
            if (!spaces.contains(space)) {
                throw new MdevException(Errno.ENOENT, "space=%s".formatted(space));
            }
            notifyAllListeners(List.of(new Step(space, space.view(), FlatView.EMPTY)));
            spaces.remove(space);
        } finally {
            lock.unlock();
        }
    }

    private static void nest(TopologyEdit outer, Consumer<TopologyEdit> edits) {
        Savepoint savepoint = outer.save();
        boolean done = false;
        try {
            edits.accept(outer);
            done = true;
        } finally {
            if (!done) {
                outer.restore(savepoint);
            }
        }
    }

    /// A space's way from one view to another.
    private record Step(TopologySpace space, FlatView before, FlatView after) {
        Step back() {
            return new Step(space, /* before= */ after, /* after= */ before);
        }
    }

    @GuardedBy("lock")
    private void commit(TopologyEdit edit) {
        List<Step> steps = new ArrayList<>();
        for (TopologySpace space : spaces) {
            FlatView after = FlatViewRenderer.render(space.root(), edit);
            if (!after.equals(space.view())) {
                steps.add(new Step(space, space.view(), after));
            }
        }
        notifyAllListeners(steps);
        edit.publish();
        globalLog = edit.globalLog();
    }

    @GuardedBy("lock")
    private void notifyAllListeners(List<Step> steps) {
        steps.forEach(step -> step.space.publish(step.after));
        List<Step> told = new ArrayList<>();
        telling = true;
        try {
            for (Step step : steps) {
                tell(step);
                told.add(step);
            }
        } catch (RuntimeException | Error refusal) {
            steps.forEach(step -> step.space.publish(step.before));
            for (Step step : told.reversed()) {
                try {
                    tell(step.back());
                } catch (RuntimeException | Error alsoRefused) {
                    refusal.addSuppressed(alsoRefused);
                }
            }
            throw refusal;
        } finally {
            telling = false;
        }
    }

    private static void tell(Step step) {
        step.space.listener().commit(step.after);
    }

    @GuardedBy("lock")
    private void checkNotNotifying() {
        if (telling) {
            throw new IllegalStateException("a listener must not start a transaction");
        }
    }

    @GuardedBy("lock")
    private void checkBetweenTransactions() {
        checkNotNotifying();
        if (running != null) {
            throw new IllegalStateException("not inside a transaction");
        }
    }
}
