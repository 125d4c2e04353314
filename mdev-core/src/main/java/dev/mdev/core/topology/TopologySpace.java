package dev.mdev.core.topology;

/// An address space: a root region, its current view, and one listener.
public final class TopologySpace {
    private final String name;
    private final MemoryRegion root;
    private final TopologyListener listener;

    /// Written only with the topology's lock held.
    private volatile FlatView view = FlatView.EMPTY;

    TopologySpace(String name, MemoryRegion root, TopologyListener listener) {
        this.name = name;
        this.root = root;
        this.listener = listener;
    }

    /// A name for people.
    public String name() {
        return name;
    }

    /// The region at address 0.
    public MemoryRegion root() {
        return root;
    }

    /// The current view. During a transaction this is the new view before the listener has applied
    /// it: a handler of an access without a slot must dispatch by the new view, because the slots
    /// only follow.
    public FlatView view() {
        return view;
    }

    TopologyListener listener() {
        return listener;
    }

    void publish(FlatView next) {
        view = next;
    }

    @Override
    public String toString() {
        return name;
    }
}
