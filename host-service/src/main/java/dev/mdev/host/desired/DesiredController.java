package dev.mdev.host.desired;

import dev.mdev.host.problem.DryRunException;
import dev.mdev.host.web.LongCall;

import jakarta.validation.Valid;

import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.PutMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;

/// `/api/v1/desired`: what should be.
@RestController
@RequestMapping("/api/v1/desired")
class DesiredController {
    private final DesiredService desired;

    DesiredController(DesiredService desired) {
        this.desired = desired;
    }

    /// Makes it so, step by step.
    @LongCall("apply")
    @PutMapping(consumes = {MediaType.APPLICATION_JSON_VALUE, YamlDocuments.TYPE})
    ApplyReport apply(
            @Valid @RequestBody DesiredState wanted,
            @RequestParam(defaultValue = "false") boolean dryRun) {
        if (dryRun) {
            wanted.requireSense();
            throw new DryRunException();
        }
        return desired.apply(wanted);
    }

    /// What is different. Changes nothing.
    @PostMapping(
            path = "/plan",
            consumes = {MediaType.APPLICATION_JSON_VALUE, YamlDocuments.TYPE})
    PlanReport plan(@Valid @RequestBody DesiredState wanted) {
        return desired.plan(wanted);
    }

    /// Refuses a host that is different. Changes nothing.
    @PostMapping(
            path = "/assert",
            consumes = {MediaType.APPLICATION_JSON_VALUE, YamlDocuments.TYPE})
    @ResponseStatus(HttpStatus.NO_CONTENT)
    void check(@Valid @RequestBody DesiredState wanted) {
        desired.requireMet(wanted);
    }
}
