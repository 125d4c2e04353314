package dev.mdev.core.engine;

/// One virtual processor. It has no program of its own: it executes the guest accesses it is given,
/// as a guest's loads and stores.
///
/// All methods but [#kick] are called by one thread, the processor's own.
public interface VcpuEngine extends AutoCloseable {
    /// Sets what the next [#run] executes, in place of what was not finished.
    void submit(GuestAccess access);

    /// Runs the guest until the access is finished or something needs the machine's attention.
    /// After any exit but [VcpuExit.Done] and [VcpuExit.Fault], the next call goes on where this
    /// one stopped; after a fault it tries the failed access again.
    VcpuExit run();

    /// Answers a [VcpuExit.MmioRead], before the next [#run].
    ///
    /// @param value the value, in the low bytes
    void completeMmioRead(long value);

    /// How many accesses of the submitted one are done.
    long completed();

    /// Makes [#run] return [VcpuExit.Interrupted] soon, now or the next time. Any thread.
    void kick();

    @Override
    void close();
}
