package dev.mdev.core.topology;

import java.util.Set;

/// Receives the changes of one address space's view.
///
/// A change is reported as [#begin], then every [#regionDel] in ascending order, then, again in
/// ascending order, every [#regionAdd], [#regionNop], [#logStart] and [#logStop], then [#commit]
/// (QEMU `address_space_update_topology_pass`). A range whose log clients alone changed is not
/// deleted and added, but reported by `regionNop` and then `logStart`, `logStop` or both.
///
/// All methods are called with the topology's lock held, on the thread that made the change; they
/// must not start a transaction. Only [#commit] may throw, and then it must restore the state
/// before [#begin]: the whole transaction is undone.
public interface TopologyListener {
    /// A change begins.
    void begin();

    /// `range` is gone, or has changed.
    void regionDel(FlatRange range);

    /// `range` is new, or new in this form; its log clients are part of it.
    void regionAdd(FlatRange range);

    /// `range` is unchanged, except perhaps for its log clients.
    default void regionNop(FlatRange range) {}

    /// `range` has gained log clients; `before` are the earlier ones.
    void logStart(FlatRange range, Set<DirtyClient> before);

    /// `range` has lost log clients; `before` are the earlier ones.
    void logStop(FlatRange range, Set<DirtyClient> before);

    /// The report is complete; the listener applies the change.
    void commit();
}
