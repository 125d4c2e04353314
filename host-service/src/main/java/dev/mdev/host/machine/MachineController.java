package dev.mdev.host.machine;

import dev.mdev.core.vm.MachineSpec;
import dev.mdev.core.vm.VirtualMachine;
import dev.mdev.host.mdev.MdevService;
import dev.mdev.host.web.Items;

import jakarta.validation.Valid;

import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.PutMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;

import java.net.URI;
import java.util.UUID;
import java.util.stream.Stream;

/// `/api/v1/machines`.
@RestController
@RequestMapping("/api/v1/machines")
class MachineController {
    private static final long MIB = 1 << 20;

    private final MachineService machines;
    private final ProgramService programs;
    private final MdevService mdevs;

    MachineController(MachineService machines, ProgramService programs, MdevService mdevs) {
        this.machines = machines;
        this.programs = programs;
        this.mdevs = mdevs;
    }

    @GetMapping
    Items<AnyMachine> list() {
        Stream<AnyMachine> guests = machines.list().stream().map(MachineView::of);
        Stream<AnyMachine> others = machines.externals().stream().map(ExternalMachineView::of);
        return new Items<>(Stream.concat(guests, others).toList());
    }

    @PostMapping
    ResponseEntity<AnyMachine> create(@Valid @RequestBody NewMachine asked) {
        asked.requireFitting();
        return ResponseEntity.created(URI.create("/api/v1/machines/" + asked.name()))
                .body(asked.isExternal() ? createExternal(asked) : createGuest(asked));
    }

    private ExternalMachineView createExternal(NewMachine asked) {
        SocketAccess access = asked.socket();
        return ExternalMachineView.of(
                machines.createExternal(
                        asked.name(), access == null ? SocketAccess.DEFAULT : access));
    }

    private MachineView createGuest(NewMachine asked) {
        VirtualMachine machine =
                machines.create(
                        new MachineSpec(
                                asked.name(),
                                asked.ramMib() == null ? 0 : asked.ramMib() * MIB,
                                asked.vcpus() == null ? 1 : asked.vcpus()));
        return MachineView.of(machine);
    }

    @GetMapping("/{name}")
    AnyMachine read(@PathVariable String name) {
        return machines.external(name)
                .<AnyMachine>map(ExternalMachineView::of)
                .orElseGet(() -> MachineView.of(machines.get(name)));
    }

    /// The command that starts QEMU with the devices of an external machine.
    @GetMapping(path = "/{name}/qemu", produces = MediaType.TEXT_PLAIN_VALUE)
    String qemu(@PathVariable String name) {
        return QemuCommand.of(machines.getExternal(name));
    }

    @DeleteMapping("/{name}")
    @ResponseStatus(HttpStatus.NO_CONTENT)
    void delete(@PathVariable String name) {
        machines.delete(name);
    }

    @PutMapping("/{name}/devices/{uuid}")
    ResponseEntity<Record> attach(@PathVariable String name, @PathVariable UUID uuid) {
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
    void detach(@PathVariable String name, @PathVariable UUID uuid) {
        machines.detach(name, uuid);
    }

    /// Executes a guest program and answers at its end.
    @PostMapping("/{name}/vcpus/{vcpu}/programs")
    ProgramView execute(
            @PathVariable String name,
            @PathVariable int vcpu,
            @Valid @RequestBody ProgramRequest program) {
        return programs.execute(name, vcpu, program);
    }

    /// Stops the running program of a processor, if any.
    @PostMapping("/{name}/vcpus/{vcpu}/interrupt")
    @ResponseStatus(HttpStatus.NO_CONTENT)
    void interrupt(@PathVariable String name, @PathVariable int vcpu) {
        programs.interrupt(name, vcpu);
    }
}
