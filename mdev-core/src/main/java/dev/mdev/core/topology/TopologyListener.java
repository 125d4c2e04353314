package dev.mdev.core.topology;

/// Receives the changes of one address space's view.
///
/// Called with the topology's lock held, on the thread that made the change. It must not start a
/// transaction. If it throws, it must restore the state before: the whole transaction is undone.
@FunctionalInterface
public interface TopologyListener {
    /// Applies a change.
    ///
    /// @param view the address space's new view
    void commit(FlatView view);
}
