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
    ///
    /// @throws dev.mdev.api.MdevException EIO if the machine has been given up
    VcpuExit run();

    /// Answers a [VcpuExit.MmioRead], before the next [#run].
    ///
    /// @param value the value, in the low bytes
    void completeMmioRead(long value);

    /// The number of completed accesses of the submitted row.
    long completed();

    /// A system management interrupt arrives (`KVM_SMI`): the processor saves its state at smbase +
    /// 0xfe00 and is in system management mode (SMM) from then on. If it is there already, the
    /// interrupt waits until [#rsm]. Any unfinished access is dropped.
    ///
    /// @return [VcpuExit.Done]; [VcpuExit.DirtyRingFull] or [VcpuExit.Interrupted]: the interrupt
    ///   waits, and the next [#run] begins with it
    /// @throws dev.mdev.api.MdevException EIO if the state cannot be saved: the machine has been
    ///   given up; ENOTTY if it has no SMM
    VcpuExit smi();

    /// Executes an RSM instruction: the processor loads the state at smbase + 0xfe00 and leaves
    /// SMM. An interrupt that has waited takes it there again at once. Any unfinished access is
    /// dropped.
    ///
    /// @return [VcpuExit.Done], or [VcpuExit.Fault]: with EINVAL outside SMM, where RSM is an
    ///   invalid opcode; with EFAULT if the state cannot be read, and the processor is still in
    ///   SMM; with EIO if the handler left a state that cannot be loaded. [VcpuExit.DirtyRingFull]
    ///   and [VcpuExit.Interrupted]: the instruction was not executed
    /// @throws dev.mdev.api.MdevException EIO if the machine has been given up
    VcpuExit rsm();

    /// Whether the processor is in SMM. Any thread.
    boolean isInSmm();

    /// The number of the address space that its accesses use. Any thread.
    int asId();

    /// Sets the address of the handler's memory (`MSR_IA32_SMBASE`); firmware gives each processor
    /// its own.
    ///
    /// @param smbase less than 2^32
    void setSmbase(long smbase);

    /// The address of the handler's memory. The processor's thread, or any thread between two runs
    /// that the owner has ordered.
    long smbase();

    /// Whether an interrupt waits that [#smi] has not delivered. Threads as for [#smbase].
    boolean isSmiWaiting();

    /// Makes [#run] return [VcpuExit.Interrupted] soon, now or the next time. Any thread.
    void kick();

    @Override
    void close();
}
