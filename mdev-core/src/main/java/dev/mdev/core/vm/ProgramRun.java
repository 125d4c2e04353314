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
    private final VcpuEngine engine;
    private final MmioBus mmio;
    private final GuestProgram program;

    /// Any thread may set it to stop the run, and must then kick the engine.
    private volatile boolean stopped;

    private final List<StepResult> results = new ArrayList<>();

    ProgramRun(VcpuEngine engine, MmioBus mmio, GuestProgram program) {
        this.engine = engine;
        this.mmio = mmio;
        this.program = program;
    }

    void stop() {
        stopped = true;
    }

    ProgramResult run() {
        for (GuestProgram.Step step : program.steps()) {
            if (stopped) {
                return new ProgramResult(ProgramResult.End.INTERRUPTED, results);
            }
            StepRun run = new StepRun(step);
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
        private final GuestProgram.Step step;
        private final long start = System.nanoTime();
        private final List<Long> values = new ArrayList<>();
        private long mismatches;
        private StepResult.@Nullable Mismatch firstMismatch;
        private long mmioExits;
        private long unassigned;
        private VcpuExit.@Nullable Fault fault;
        private boolean interrupted;

        StepRun(GuestProgram.Step step) {
            this.step = step;
        }

        /// @return whether all accesses are complete
        boolean execute() {
            engine.submit(accessOf(step));
            while (true) {
                switch (engine.run()) {
                    case VcpuExit.Done _ -> {
                        return true;
                    }
                    case VcpuExit.MmioRead read -> serveRead(read);
                    case VcpuExit.MmioWrite write -> serveWrite(write);
                    case VcpuExit.Fault failed -> fault = failed;
                    case VcpuExit.DirtyRingFull _ ->
                            fault =
                                    new VcpuExit.Fault(
                                            step.span().gpaAt(engine.completed()),
                                            Access.WRITE,
                                            new Refusal(
                                                    Errno.ENOBUFS,
                                                    "the dirty ring is full and unharvested"
                                                            + " it"));
                    case VcpuExit.Interrupted _ -> {
                        if (stopped) {
                            return false;
                        }
                    }
                }
                if (fault != null || interrupted) {
                    return false;
                }
            }
        }

        private GuestAccess accessOf(GuestProgram.Step asked) {
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
            RegionAccess outcome = mmio.read(read.gpa(), read.widthBytes());
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
            RegionAccess outcome = mmio.write(write.gpa(), write.widthBytes(), write.value());
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

        StepResult result() {
            return new StepResult(
                    engine.completed(),
                    List.copyOf(values),
                    mismatches,
                    Optional.ofNullable(firstMismatch),
                    mmioExits,
                    unassigned,
                    Optional.ofNullable(fault),
                    System.nanoTime() - start);
        }
    }
}
