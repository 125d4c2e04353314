package dev.mdev.host.machine;

import dev.mdev.api.MdevException;
import dev.mdev.api.RegionInfo;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.memslot.SmmDesign;
import dev.mdev.core.vm.AttachedDevice;
import dev.mdev.core.vm.GuestProgram;
import dev.mdev.core.vm.VirtualMachine;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Violation;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;

/// Turns a client's program into the core's, for one machine, and reports its errors.
final class ProgramCompiler {
    private static final int DEFAULT_WIDTH = Long.BYTES;

    private final VirtualMachine machine;
    private final int maxValues;

    ProgramCompiler(VirtualMachine machine, int maxValues) {
        this.machine = machine;
        this.maxValues = maxValues;
    }

    /// @throws ProblemException with a violation for each invalid step
    GuestProgram compile(ProgramRequest request) {
        List<Violation> violations = new ArrayList<>();
        List<GuestProgram.Step> steps = new ArrayList<>();
        long values = 0;
        for (int i = 0; i < request.steps().size(); i++) {
            try {
                GuestProgram.Step step = compile(request.steps().get(i));
                steps.add(step);
                values += step instanceof GuestProgram.Step.Read read ? read.span().count() : 0;
            } catch (Misfit e) {
                violations.add(new Violation("/steps/" + i + e.pointer, e.text));
            } catch (MdevException e) {
                violations.add(new Violation("/steps/" + i, e.getMessage()));
            }
        }
        if (values > maxValues) {
            violations.add(
                    new Violation(
                            "/steps",
                            "the steps return %d values together, at most %d are allowed"
                                    .formatted(values, maxValues)));
        }
        if (!violations.isEmpty()) {
            throw ProblemException.invalid(violations);
        }
        return new GuestProgram(steps, Boolean.TRUE.equals(request.continueAfterFault()));
    }

    private GuestProgram.Step compile(ProgramRequest.Step step) {
        return switch (step) {
            case ProgramRequest.Read read ->
                    new GuestProgram.Step.Read(
                            span(read.at(), new Row(read.width(), read.count(), read.stride())));
            case ProgramRequest.Write write ->
                    new GuestProgram.Step.Write(
                            span(write.at(), new Row(write.width(), write.count(), write.stride())),
                            bitsOf(write.value()),
                            orZero(write.step()));
            case ProgramRequest.Check check ->
                    new GuestProgram.Step.Check(
                            span(check.at(), new Row(check.width(), check.count(), check.stride())),
                            bitsOf(check.value()),
                            orZero(check.step()));
            case ProgramRequest.Fill fill ->
                    new GuestProgram.Step.Write(
                            span(fill.at(), rowOf(fill)), bitsOf(fill.value()), 0);
            case ProgramRequest.Smi _ -> withSmm(new GuestProgram.Step.Smi());
            case ProgramRequest.Rsm _ -> withSmm(new GuestProgram.Step.Rsm());
        };
    }

    private GuestProgram.Step withSmm(GuestProgram.Step step) {
        if (machine.spec().smm() == SmmDesign.NONE) {
            throw new Misfit(
                    "/op",
                    "machine=%s has no system management mode".formatted(machine.spec().name()));
        }
        return step;
    }

    private static Row rowOf(ProgramRequest.Fill fill) {
        int width = widthOf(fill.width());
        if (fill.bytes() == null) {
            throw new Misfit("/bytes", "is missing");
        }
        long bytes = fill.bytes().bits();
        if (bytes < 0 || bytes % width != 0) {
            throw new Misfit("/bytes", "not a multiple of the width, " + width);
        }
        return new Row(width, bytes / width, (long) width);
    }

    private static long bitsOf(@Nullable U64 value) {
        return value == null ? 0 : value.bits();
    }

    private static long orZero(@Nullable Long value) {
        return value == null ? 0 : value;
    }

    /// The fields of a step's row, except the address.
    private record Row(@Nullable Integer width, @Nullable Long count, @Nullable Long stride) {}

    private GuestAccess.Span span(ProgramRequest.@Nullable Address at, Row row) {
        int width = widthOf(row.width());
        long count = row.count() == null ? 1 : row.count();
        long stride = row.stride() == null ? width : row.stride();
        if (count < 0) {
            throw new Misfit("/count", "less than 0");
        }
        if (at == null) {
            throw new Misfit("/at", "is missing");
        }
        if (at.mdev() == null) {
            return plainSpan(at, width, count, stride);
        }
        Bar bar = barOf(at);
        long offset = at.offset() == null ? 0 : at.offset().bits();
        requireInside(bar, offset, width, count, stride);
        return new GuestAccess.Span(bar.gpa + offset, width, count, stride);
    }

    private static GuestAccess.Span plainSpan(
            ProgramRequest.Address at, int width, long count, long stride) {
        if (at.gpa() == null || at.bar() != null || at.offset() != null) {
            throw new Misfit("/at", "either gpa, or mdev with bar and offset");
        }
        return new GuestAccess.Span(at.gpa().bits(), width, count, stride);
    }

    private static int widthOf(@Nullable Integer asked) {
        int width = asked == null ? DEFAULT_WIDTH : asked;
        if (width != 1 && width != 2 && width != 4 && width != 8) {
            throw new Misfit("/width", "not 1, 2, 4 or 8");
        }
        return width;
    }

    /// A BAR of a device of this machine.
    private record Bar(long gpa, long sizeBytes) {}

    private Bar barOf(ProgramRequest.Address at) {
        if (at.gpa() != null || at.mdev() == null || at.bar() == null) {
            throw new Misfit("/at", "either gpa, or mdev with bar and offset");
        }
        AttachedDevice device =
                machine.device(at.mdev())
                        .orElseThrow(() ->
                                new Misfit(
                                        "/at/mdev",
                                        "mdev=%s is not in machine=%s"
                                                .formatted(at.mdev(), machine.spec().name())));
        int index = at.bar();
        long gpa =
                device.barGpa(index)
                        .orElseThrow(() -> new Misfit("/at/bar", "the device has no bar=" + index));
        RegionInfo region = device.region(index);
        return new Bar(gpa, region.sizeBytes());
    }

    private static void requireInside(Bar bar, long offset, int width, long count, long stride) {
        if (count == 0) {
            count = 1;
        }
        boolean inside = offset >= 0 && offset <= bar.sizeBytes - width;
        if (inside && stride != 0) {
            long room = stride > 0 ? bar.sizeBytes - width - offset : offset;
            inside =
                    Long.compareUnsigned(count - 1, Long.divideUnsigned(room, Math.abs(stride)))
                            <= 0;
        }
        if (!inside) {
            throw new Misfit(
                    "",
                    "leaves the BAR: offset=0x%x width=%d count=%d stride=%d sizeBytes=0x%x"
                            .formatted(offset, width, count, stride, bar.sizeBytes));
        }
    }

    /// An invalid step. Does not leave this class.
    private static final class Misfit extends RuntimeException {
        private static final long serialVersionUID = 1L;

        private final String pointer;
        private final String text;

        Misfit(String pointer, String text) {
            super(text, null, false, false);
            this.pointer = pointer;
            this.text = text;
        }
    }
}
