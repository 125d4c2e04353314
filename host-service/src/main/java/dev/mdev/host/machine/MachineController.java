package dev.mdev.host.machine;

import dev.mdev.host.label.MergePatch;
import dev.mdev.host.label.Selector;
import dev.mdev.host.mdev.MdevService;
import dev.mdev.host.problem.DryRunException;
import dev.mdev.host.web.Items;
import dev.mdev.host.web.Paging;

import jakarta.validation.Valid;

import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PatchMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.PutMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;

import java.net.URI;
import java.util.List;
import java.util.UUID;
import java.util.stream.Stream;

/// `/api/v1/machines`.
@RestController
@RequestMapping("/api/v1/machines")
class MachineController {
    private final MachineService machines;
    private final MachineCatalog catalog;
    private final MachineRehearsal rehearsal;
    private final ProgramService programs;
    private final MdevService mdevs;
    private final MachineVerbs verbs;

    MachineController(
            MachineService machines,
            MachineCatalog catalog,
            MachineRehearsal rehearsal,
            ProgramService programs,
            MdevService mdevs,
            MachineVerbs verbs) {
        this.machines = machines;
        this.catalog = catalog;
        this.rehearsal = rehearsal;
        this.programs = programs;
        this.mdevs = mdevs;
        this.verbs = verbs;
    }

    /// What runs a machine: this service, or another program.
    enum Kind {
        GUEST,
        EXTERNAL
    }

    @GetMapping
    Items<AnyMachine> list(
            @RequestParam(required = false) @Nullable Kind kind,
            @RequestParam(required = false) @Nullable List<String> label,
            @RequestParam(defaultValue = Paging.DEFAULT_LIMIT) int limit,
            @RequestParam(required = false) @Nullable String after) {
        Selector selector = Selector.of(label);
        Stream<AnyMachine> wanted =
                kind == null
                        ? Stream.concat(catalog.guests(), catalog.externals())
                        : switch (kind) {
                            case GUEST -> catalog.guests();
                            case EXTERNAL -> catalog.externals();
                        };
        return new Paging(limit, after)
                .sorted(
                        wanted.filter(it -> selector.test(catalog.metadata(it.name()))),
                        AnyMachine::name);
    }

    @PostMapping
    ResponseEntity<AnyMachine> create(
            @Valid @RequestBody NewMachine asked,
            @RequestParam(defaultValue = "false") boolean dryRun) {
        if (dryRun) {
            verbs.check(asked);
            throw new DryRunException();
        }
        verbs.create(asked);
        return ResponseEntity.created(URI.create("/api/v1/machines/" + asked.name()))
                .body(catalog.view(asked.name()));
    }

    @GetMapping("/{name}")
    AnyMachine read(@PathVariable String name) {
        return catalog.view(name);
    }

    /// Changes the display name, the description and the labels.
    @PatchMapping(
            path = "/{name}",
            consumes = {MergePatch.TYPE, MediaType.APPLICATION_JSON_VALUE})
    AnyMachine patch(
            @PathVariable String name,
            @RequestBody MergePatch patch,
            @RequestParam(defaultValue = "false") boolean dryRun) {
        if (dryRun) {
            catalog.checkPatch(name, patch);
            throw new DryRunException();
        }
        catalog.patch(name, patch);
        return catalog.view(name);
    }

    /// The command that starts QEMU with the devices of an external machine.
    @GetMapping(path = "/{name}/qemu", produces = MediaType.TEXT_PLAIN_VALUE)
    String qemu(@PathVariable String name) {
        return QemuCommand.of(machines.getExternal(name));
    }

    @DeleteMapping("/{name}")
    @ResponseStatus(HttpStatus.NO_CONTENT)
    void delete(@PathVariable String name, @RequestParam(defaultValue = "false") boolean dryRun) {
        if (dryRun) {
            var _ = catalog.view(name);
            return;
        }
        machines.delete(name);
    }

    @PutMapping("/{name}/devices/{uuid}")
    ResponseEntity<AnyDevice> attach(
            @PathVariable String name,
            @PathVariable UUID uuid,
            @RequestParam(defaultValue = "false") boolean dryRun) {
        if (dryRun) {
            rehearsal.attach(name, mdevs.get(uuid));
            throw new DryRunException();
        }
        if (machines.external(name).isPresent()) {
            ExternalMachine.Attached attached = machines.attachExternal(name, mdevs.get(uuid));
            return ResponseEntity.status(attached.now() ? HttpStatus.CREATED : HttpStatus.OK)
                    .body(ExternalMachineView.device(attached.socket()));
        }
        MachineService.Attached attached = machines.attach(name, mdevs.get(uuid));
        return ResponseEntity.status(attached.now() ? HttpStatus.CREATED : HttpStatus.OK)
                .body(MachineView.device(attached.device()));
    }

    /// What the device's interrupts are, and how many it sent.
    @GetMapping("/{name}/devices/{uuid}/interrupts")
    InterruptsView interrupts(@PathVariable String name, @PathVariable UUID uuid) {
        return InterruptsView.of(machines.device(name, uuid));
    }

    @DeleteMapping("/{name}/devices/{uuid}")
    @ResponseStatus(HttpStatus.NO_CONTENT)
    void detach(
            @PathVariable String name,
            @PathVariable UUID uuid,
            @RequestParam(defaultValue = "false") boolean dryRun) {
        if (dryRun) {
            rehearsal.detach(name, uuid);
            return;
        }
        machines.detach(name, uuid);
    }

    /// Executes a guest program and answers at its end.
    @PostMapping("/{name}/vcpus/{vcpu}/programs")
    ProgramView execute(
            @PathVariable String name,
            @PathVariable int vcpu,
            @Valid @RequestBody ProgramRequest program,
            @RequestParam(defaultValue = "false") boolean dryRun) {
        if (dryRun) {
            programs.check(name, vcpu, program);
            throw new DryRunException();
        }
        return programs.execute(name, vcpu, program);
    }

    /// Stops the running program of a processor, if any.
    @PostMapping("/{name}/vcpus/{vcpu}/interrupt")
    @ResponseStatus(HttpStatus.NO_CONTENT)
    void interrupt(
            @PathVariable String name,
            @PathVariable int vcpu,
            @RequestParam(defaultValue = "false") boolean dryRun) {
        if (dryRun) {
            programs.check(name, vcpu);
            return;
        }
        programs.interrupt(name, vcpu);
    }
}
