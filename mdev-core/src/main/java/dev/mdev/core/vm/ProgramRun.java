package dev.mdev.core.vm;

import dev.mdev.api.Errno;
import dev.mdev.api.Refusal;
import dev.mdev.api.page.Access;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.engine.VcpuEngine;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.pci.RegionAccess;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// Executes one guest program on one processor, on its thread: runs the engine, serves the exits.
final class ProgramRun {
    private final MemoryLayout.Mmio mmio;
    private final GuestProgram program;
    private final Runnable ringFull;
    private final Rest rest;

    /// Any thread may set it to stop the run, and must then kick the engine.
    private volatile boolean stopped;

    private final List<StepResult> results = new ArrayList<>();

    /// @param ringFull empties the processor's dirty ring
    /// @param rest called between accesses
    ProgramRun(MemoryLayout.Mmio mmio, GuestProgram program, Runnable ringFull, Rest rest) {
        this.mmio = mmio;
        this.program = program;
        this.ringFull = ringFull;
        this.rest = rest;
    }

    /// Where a program may be made to rest.
    @FunctionalInterface
    interface Rest {
        /// Returns at once, or when the program may go on; also when it is stopped.
        ///
        /// @param step which step it is in
        /// @param completed the complete accesses of the step
        void here(ProgramRun run, int step, long completed);
    }

    void stop() {
        stopped = true;
    }

    boolean isStopped() {
        return stopped;
    }

    ProgramResult run(VcpuEngine engine) {
        for (GuestProgram.Step step : program.steps()) {
            if (stopped) {
                return new ProgramResult(ProgramResult.End.INTERRUPTED, results);
            }
            StepRun run = new StepRun(engine, step);
            boolean finished = run.execute();
            StepResult result = run.result();
            results.add(result);
            if (!finished && result.fault().isEmpty()) {
                return new ProgramResult(ProgramResult.End.INTERRUPTED, results);
            }
            if (result.fault().isPresent() && !program.continueAfterFault()) {
                return new ProgramResult(ProgramResult.End.FAULTED, results);
            }
        }
        return new ProgramResult(ProgramResult.End.COMPLETED, results);
    }

    /// A step in progress.
    private final class StepRun {
        private final VcpuEngine engine;
        private final GuestProgram.Step step;
        private final long start = System.nanoTime();
        private final List<Long> values = new ArrayList<>();
        private long mismatches;
        private StepResult.@Nullable Mismatch firstMismatch;
        private long mmioExits;
        private long unassigned;
        private VcpuExit.@Nullable Fault fault;
        private boolean interrupted;
        private boolean begun;
        private boolean done;

        StepRun(VcpuEngine engine, GuestProgram.Step step) {
            this.engine = engine;
            this.step = step;
        }

        /// @return whether all accesses are complete
        boolean execute() {
            if (step instanceof GuestProgram.Step.Row row) {
                engine.submit(accessOf(row));
            }
            while (true) {
                rest.here(ProgramRun.this, results.size(), completed());
                if (stopped) {
                    return false;
                }
                switch (next()) {
                    case VcpuExit.Done _ -> {
                        done = true;
                        return true;
                    }
                    case VcpuExit.MmioRead read -> serveRead(read);
                    case VcpuExit.MmioWrite write -> serveWrite(write);
                    case VcpuExit.Fault failed -> fault = failed;
                    case VcpuExit.DirtyRingFull _ -> ringFull.run();
                    case VcpuExit.Interrupted _ -> {}
                }
                if (fault != null || interrupted) {
                    return false;
                }
            }
        }

        /// Begins or continues the step.
        private VcpuExit next() {
            boolean first = !begun;
            begun = true;
            return switch (step) {
                case GuestProgram.Step.Row _ -> engine.run();
                case GuestProgram.Step.Smi _ -> first ? engine.smi() : engine.run();
                case GuestProgram.Step.Rsm _ -> engine.rsm();
            };
        }

        private GuestAccess accessOf(GuestProgram.Step.Row asked) {
            return switch (asked) {
                case GuestProgram.Step.Read read ->
                        new GuestAccess.Load(read.span(), (index, value) -> values.add(value));
                case GuestProgram.Step.Write write ->
                        new GuestAccess.Store(write.span(), write.value(), write.step());
                case GuestProgram.Step.Check check ->
                        new GuestAccess.Load(
                                check.span(), (index, value) -> compare(check, index, value));
            };
        }

        private void compare(GuestProgram.Step.Check check, long index, long actual) {
            int width = check.span().widthBytes();
            long mask = width == Long.BYTES ? -1L : (1L << (width * Byte.SIZE)) - 1;
            long expected = (check.value() + index * check.step()) & mask;
            if (expected != actual) {
                mismatches++;
                if (firstMismatch == null) {
                    firstMismatch =
                            new StepResult.Mismatch(check.span().gpaAt(index), expected, actual);
                }
            }
        }

        private void serveRead(VcpuExit.MmioRead read) {
            mmioExits++;
            RegionAccess outcome = mmio.of(engine.isInSmm()).read(read.gpa(), read.widthBytes());
            switch (outcome) {
                case null -> {
                    unassigned++;
                    engine.completeMmioRead(-1);
                }
                case RegionAccess.Done done -> engine.completeMmioRead(done.value());
                case RegionAccess.Failed failed -> fail(read.gpa(), Access.READ, failed.refusal());
            }
        }

        private void serveWrite(VcpuExit.MmioWrite write) {
            mmioExits++;
            RegionAccess outcome =
                    mmio.of(engine.isInSmm()).write(write.gpa(), write.widthBytes(), write.value());
            switch (outcome) {
                case null -> unassigned++;
                case RegionAccess.Done _ -> {}
                case RegionAccess.Failed failed ->
                        fail(write.gpa(), Access.WRITE, failed.refusal());
            }
        }

        private void fail(long gpa, Access access, Refusal refusal) {
            if (stopped && refusal.errno() == Errno.EINTR) {
                // A stop of the program ended the wait for a driver: that is no fault.
                interrupted = true;
            } else {
                fault = new VcpuExit.Fault(gpa, access, refusal);
            }
        }

        private long completed() {
            return switch (step) {
                case GuestProgram.Step.Row _ -> engine.completed();
                case GuestProgram.Step.Smi _, GuestProgram.Step.Rsm _ -> done ? 1 : 0;
            };
        }

        StepResult result() {
            return new StepResult(
                    completed(),
                    List.copyOf(values),
                    mismatches,
                    Optional.ofNullable(firstMismatch),
                    mmioExits,
                    unassigned,
                    Optional.ofNullable(fault),
                    engine.isInSmm(),
                    engine.asId(),
                    System.nanoTime() - start);
        }
    }
}
