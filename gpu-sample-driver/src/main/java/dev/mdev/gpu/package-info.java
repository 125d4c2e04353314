/// A sample parent driver: a small simulated GPU, split among virtual machines.
///
/// The GPU exists in software only: its VRAM and its doorbell pages are an aperture that the host
/// allocates. It is an example for authors of drivers.
@NullMarked
package dev.mdev.gpu;

import org.jspecify.annotations.NullMarked;
