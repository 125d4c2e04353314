package dev.mdev.host.machine;

import dev.mdev.core.vm.MachineSpec;
import dev.mdev.host.access.Caller;
import dev.mdev.host.access.Visibility;
import dev.mdev.host.label.Metadata;
import dev.mdev.host.mdev.MdevService;

import org.springframework.stereotype.Component;

import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.stream.Stream;

/// The verbs on machines of both kinds.
///
/// Any thread may call all methods.
@Component
public class MachineVerbs {
    private final MachineService machines;
    private final MachineCatalog catalog;
    private final MdevService mdevs;
    private final Visibility visibility;

    MachineVerbs(
            MachineService machines,
            MachineCatalog catalog,
            MdevService mdevs,
            Visibility visibility) {
        this.machines = machines;
        this.catalog = catalog;
        this.mdevs = mdevs;
        this.visibility = visibility;
    }

    /// The names of all machines.
    public List<String> names() {
        return Stream.concat(
                        machines.list().stream().map(it -> it.spec().name()),
                        machines.externals().stream().map(ExternalMachine::name))
                .sorted()
                .toList();
    }

    /// Makes a machine.
    ///
    /// @throws dev.mdev.host.problem.ProblemException if the request is invalid
    /// @throws dev.mdev.api.MdevException as [MachineService#create]
    public void create(NewMachine asked) {
        Metadata metadata = require(asked);
        if (asked.isExternal()) {
            var _ = machines.createExternal(asked.name(), accessOf(asked));
        } else {
            var _ = machines.create(asked.spec());
        }
        catalog.note(asked.name(), metadata);
    }

    /// Refuses what [#create] would refuse now, as far as the host knows that without the engine.
    void check(NewMachine asked) {
        var _ = require(asked);
        machines.check(asked);
    }

    private Metadata require(NewMachine asked) {
        asked.requireFitting();
        Metadata metadata = asked.metadata();
        visibility.requireMachineName(Caller.current(), asked.name());
        return metadata;
    }

    /// What makes the machine of this name another than the one that is asked for: empty if nothing
    /// does; nothing if there is no such machine.
    ///
    /// @throws dev.mdev.host.problem.ProblemException if it ends at this moment
    /// @throws dev.mdev.api.MdevException EINVAL if the request is no machine
    public Optional<String> differenceOf(NewMachine asked) {
        if (!names().contains(asked.name())) {
            return Optional.empty();
        }
        Optional<ExternalMachine> external = machines.external(asked.name());
        if (external.isPresent() != asked.isExternal()) {
            return Optional.of(
                    "it is " + (external.isPresent() ? NewMachine.EXTERNAL : NewMachine.GUEST));
        }
        if (external.isPresent()) {
            SocketAccess access = external.get().access();
            return Optional.of(
                    accessOf(asked).isSame(access)
                            ? ""
                            : "its socket has uid=%d gid=%d mode=%s"
                                    .formatted(
                                            access.owner(), access.group(), access.permissions()));
        }
        MachineSpec spec = machines.get(asked.name()).spec();
        return Optional.of(
                spec.equals(asked.spec())
                        ? ""
                        : "it has ramBytes=%d vcpus=%d smm=%s"
                                .formatted(spec.ramBytes(), spec.vcpus(), spec.smm()));
    }

    private static SocketAccess accessOf(NewMachine asked) {
        SocketAccess access = asked.socket();
        return access == null ? SocketAccess.DEFAULT : access;
    }

    /// Ends a machine.
    ///
    /// @throws dev.mdev.api.MdevException as [MachineService#delete]
    public void delete(String name) {
        machines.delete(name);
    }

    /// Attaches a device to a machine of any kind.
    ///
    /// @throws dev.mdev.api.MdevException as [MachineService#attach]
    public void attach(String name, UUID uuid) {
        if (machines.external(name).isPresent()) {
            var _ = machines.attachExternal(name, mdevs.get(uuid));
        } else {
            var _ = machines.attach(name, mdevs.get(uuid));
        }
    }

    /// Detaches a device.
    ///
    /// @throws dev.mdev.api.MdevException as [MachineService#detach]
    public void detach(String name, UUID uuid) {
        machines.detach(name, uuid);
    }
}
