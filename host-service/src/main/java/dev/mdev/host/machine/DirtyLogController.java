package dev.mdev.host.machine;

import dev.mdev.core.dirty.DirtyLogClear;
import dev.mdev.core.vm.DirtyLogMode;
import dev.mdev.core.vm.MachineDirtyLog;
import dev.mdev.core.vm.VirtualMachine;
import dev.mdev.host.problem.DryRunException;
import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;

import jakarta.validation.Valid;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.NotNull;
import jakarta.validation.constraints.Pattern;

import org.jspecify.annotations.Nullable;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.PutMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/// `/api/v1/machines/{name}/dirty-log`.
@RestController
@RequestMapping("/api/v1/machines/{name}/dirty-log")
class DirtyLogController {
    /// As QEMU users choose it (`dirty-ring-size`).
    private static final int DEFAULT_ENTRIES = 4096;

    private final MachineService machines;

    DirtyLogController(MachineService machines) {
        this.machines = machines;
    }

    /// The wanted mode.
    ///
    /// @param initiallySet of [DirtyLogView#MANUAL]: whether the log begins with all pages dirty
    /// @param entries of each ring, for [DirtyLogView#RING] only
    record Wanted(
            @NotNull
                    @Pattern(
                            regexp =
                                    DirtyLogView.OFF
                                            + "|"
                                            + DirtyLogView.BITMAP
                                            + "|"
                                            + DirtyLogView.MANUAL
                                            + "|"
                                            + DirtyLogView.RING,
                            message = "off, bitmap, manual or ring")
                    String mode,
            @Nullable Boolean initiallySet,
            @Nullable @Min(1) @Max(1 << 20) Integer entries) {
        /// @throws ProblemException if the fields do not fit together
        DirtyLogMode toMode() {
            require(initiallySet == null || mode.equals(DirtyLogView.MANUAL), "initiallySet");
            require(entries == null || mode.equals(DirtyLogView.RING), "entries");
            return switch (mode) {
                case DirtyLogView.OFF -> new DirtyLogMode.Off();
                case DirtyLogView.BITMAP -> new DirtyLogMode.Bitmap();
                case DirtyLogView.MANUAL ->
                        new DirtyLogMode.ManualProtect(Boolean.TRUE.equals(initiallySet));
                default -> new DirtyLogMode.Ring(entries == null ? DEFAULT_ENTRIES : entries);
            };
        }

        private void require(boolean fits, String field) {
            if (!fits) {
                throw new ProblemException(
                        Problem.INVALID, "mode=%s has no %s".formatted(mode, field));
            }
        }
    }

    /// Named pages of a slot.
    ///
    /// @param addressSpace 0 if null
    /// @param first the first page's number in the slot, a multiple of 64
    /// @param pages a multiple of 64, or all from `first` to the slot's end
    record Clearing(
            @Nullable @Min(0) @Max(0xffff) Integer addressSpace,
            @NotNull @Min(0) @Max(0xffff) Integer slot,
            @NotNull @Min(0) Long first,
            @NotNull @Min(1) @Max(Integer.MAX_VALUE) Integer pages) {
        DirtyLogClear toClear() {
            int space = addressSpace == null ? 0 : addressSpace;
            return new DirtyLogClear(space << 16 | slot, pages, first);
        }
    }

    /// Starts or stops the log.
    @PutMapping
    DirtyLogView set(
            @PathVariable String name,
            @Valid @RequestBody Wanted wanted,
            @RequestParam(defaultValue = "false") boolean dryRun) {
        VirtualMachine machine = machines.get(name);
        DirtyLogMode mode = wanted.toMode();
        if (dryRun) {
            throw new DryRunException();
        }
        machine.setDirtyLog(mode);
        return DirtyLogView.of(machine.dirtyLog(), machine.dirtyLog().slots());
    }

    /// The dirty pages, which stay dirty.
    ///
    /// @param by `slot` or `memory`
    @GetMapping
    DirtyLogView read(@PathVariable String name, @RequestParam(defaultValue = "slot") String by) {
        MachineDirtyLog log = machines.get(name).dirtyLog();
        return switch (by) {
            case "slot" -> DirtyLogView.of(log, log.slots());
            case "memory" -> DirtyLogView.of(log, log.memory());
            default ->
                    throw new ProblemException(
                            Problem.INVALID, "by=%s is not slot or memory".formatted(by));
        };
    }

    /// Takes the dirty pages of all slots, or makes named pages of one slot clean.
    @PostMapping("/clear")
    DirtyLogView clear(
            @PathVariable String name,
            @Valid @RequestBody(required = false) @Nullable Clearing part,
            @RequestParam(defaultValue = "false") boolean dryRun) {
        MachineDirtyLog log = machines.get(name).dirtyLog();
        if (log.mode() instanceof DirtyLogMode.Off) {
            throw new ProblemException(
                    Problem.WRONG_STATE, "machine=%s has no dirty log: it is off".formatted(name));
        }
        if (dryRun) {
            throw new DryRunException();
        }
        if (part == null) {
            return DirtyLogView.of(log, log.takeSlots());
        }
        log.takePart(part.toClear());
        return DirtyLogView.of(log, log.slots());
    }
}
