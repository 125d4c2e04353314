package dev.mdev.core.engine;

/// One virtual processor. It has no program of its own: it executes guest accesses from its caller,
/// as a guest's loads and stores.
///
/// One thread, the processor's own, calls all methods except [#kick].
public interface VcpuEngine extends AutoCloseable {
    /// Sets what the next [#run] executes, in place of any unfinished access.
    void submit(GuestAccess access);

    /// Runs the guest until the access is finished or the machine must act. After any exit except
    /// [VcpuExit.Done] and [VcpuExit.Fault], the next call continues where this one stopped; after
    /// a fault it retries the failed access.
    VcpuExit run();

    /// Answers a [VcpuExit.MmioRead], before the next [#run].
    ///
    /// @param value the value, in the low bytes
    void completeMmioRead(long value);

    /// The number of completed accesses of the submitted row.
    long completed();

    /// Makes [#run] return [VcpuExit.Interrupted] soon, now or the next time. Any thread.
    void kick();

    @Override
    void close();
}
