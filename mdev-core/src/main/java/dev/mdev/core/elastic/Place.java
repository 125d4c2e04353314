package dev.mdev.core.elastic;

/// Where a guest may have pages of a share: page `i` of the share is page `i + offsetPages` of a
/// region.
record Place(int region, long offsetPages) {}
