/// The interface between a parent driver and the framework.
///
/// A driver implements [dev.mdev.api.ParentDriver] (finds physical devices),
/// [dev.mdev.api.ParentDevice] (one physical device) and [dev.mdev.api.MdevDevice] (one mediated
/// device); the framework implements [dev.mdev.api.ParentHost], [dev.mdev.api.MdevContext] and
/// [dev.mdev.api.Aperture]. Guest addresses do not occur here: a driver sees regions, pages within
/// regions, and the physical page numbers (pfns) of its own aperture.
@NullMarked
package dev.mdev.api;

import org.jspecify.annotations.NullMarked;
