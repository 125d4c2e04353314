package dev.mdev.host.parent;

import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.capacity.DefragPlan;
import dev.mdev.host.access.Caller;
import dev.mdev.host.access.Visibility;
import dev.mdev.host.problem.DryRunException;
import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.web.LongCall;

import jakarta.validation.Valid;

import org.springframework.http.HttpStatus;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;

import java.util.UUID;
import java.util.function.Predicate;

/// `/api/v1/parents/{name}`: a parent's capacity, and making room.
@RestController
@RequestMapping("/api/v1/parents/{name}")
class CapacityController {
    private final MdevBus bus;
    private final Visibility visibility;

    CapacityController(MdevBus bus, Visibility visibility) {
        this.bus = bus;
        this.visibility = visibility;
    }

    @GetMapping("/capacity")
    CapacityView capacity(@PathVariable String name) {
        return CapacityView.of(bus, bus.parent(name), sight());
    }

    private Predicate<UUID> sight() {
        Caller caller = Caller.current();
        return uuid -> visibility.seesMdev(caller, uuid);
    }

    /// Whether one more device of a type fits; if not, why, and which moves would make room.
    @GetMapping("/types/{type}/explain")
    FitView explain(@PathVariable String name, @PathVariable String type) {
        return FitView.of(bus.explain(name, type), sight());
    }

    /// Applies a plan, if it is still the one that the client saw.
    ///
    /// @throws ProblemException if the plan is outdated, or a driver failed
    @PostMapping("/types/{type}/defragment")
    @LongCall("defragment")
    FitView defragment(
            @PathVariable String name,
            @PathVariable String type,
            @Valid @RequestBody PlanRequest request,
            @RequestParam(defaultValue = "false") boolean dryRun) {
        DefragPlan plan =
                bus.explain(name, type)
                        .plan()
                        .filter(it -> PlanView.idOf(it).equals(request.plan()))
                        .orElseThrow(() ->
                                new ProblemException(
                                        Problem.WRONG_STATE,
                                        "plan=%s is not what would make room now"
                                                .formatted(request.plan())));
        if (dryRun) {
            throw new DryRunException();
        }
        bus.defragment(plan);
        return explain(name, type);
    }

    /// Looks for devices that other programs created or ended on a parent.
    @PostMapping("/rescan")
    @ResponseStatus(HttpStatus.NO_CONTENT)
    void rescan(@PathVariable String name, @RequestParam(defaultValue = "false") boolean dryRun) {
        if (dryRun) {
            var _ = bus.parent(name);
            return;
        }
        bus.rescan(name);
    }

    /// Scrubs a parent's quarantined pages again.
    @PostMapping("/repair")
    @LongCall("repair")
    @ResponseStatus(HttpStatus.NO_CONTENT)
    void repair(@PathVariable String name, @RequestParam(defaultValue = "false") boolean dryRun) {
        if (dryRun) {
            var _ = bus.parent(name);
            return;
        }
        bus.repair(name);
    }
}
