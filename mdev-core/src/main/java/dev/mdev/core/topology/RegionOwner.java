package dev.mdev.core.topology;

/// The tree that regions are made for: a [Topology]. A region knows no more of it than which it is.
public interface RegionOwner {}
