/// A sample parent driver: a small simulated GPU, split among virtual machines.
///
/// Read it in this order: `GpuParentDriver` (finds the GPUs), `GpuParent` (one GPU: pools and
/// types), `GpuDevice` (one mediated device), `Vram` (which physical page backs a guest's page),
/// then either the display (`GpuDisplay`, `Dispi`, `VgaPorts`, `ScanOut`) or the engine
/// (`Doorbell`, `Command`, `CommandQueue`, `Blitter`, `Engine`).
module dev.mdev.gpu {
    requires dev.mdev.api;
    requires static com.google.errorprone.annotations;
    requires static org.jspecify;

    provides dev.mdev.api.ParentDriver with
            dev.mdev.gpu.GpuParentDriver;
}
