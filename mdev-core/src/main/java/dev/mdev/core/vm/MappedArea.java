package dev.mdev.core.vm;

import dev.mdev.api.RegionArea;
import dev.mdev.core.hostmm.Vma;

/// An area of a device's region that is reserved in the machine's host address space.
///
/// @param region the region's index
record MappedArea(AttachedDevice device, int region, RegionArea area, Vma vma) {}
