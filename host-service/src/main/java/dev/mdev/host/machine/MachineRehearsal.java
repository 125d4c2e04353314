package dev.mdev.host.machine;

import dev.mdev.core.device.Mdev;
import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;

import org.springframework.stereotype.Component;

import java.util.Optional;
import java.util.UUID;

/// Dry runs of the verbs on the devices of machines: refusals without effects.
///
/// Any thread may call all methods.
@Component
record MachineRehearsal(MachineService machines) {
    /// Refuses what [MachineService#attach] and [MachineService#attachExternal] would refuse now,
    /// as far as the host knows that without the driver.
    void attach(String name, Mdev mdev) {
        boolean isThere =
                machines.external(name).isPresent()
                        ? machines.getExternal(name).sockets().stream()
                                .anyMatch(it -> it.mdev() == mdev)
                        : machines.get(name)
                                .device(mdev.uuid())
                                .filter(it -> it.mdev() == mdev)
                                .isPresent();
        Optional<String> holder = mdev.holder();
        if (!isThere && holder.isPresent()) {
            throw new ProblemException(
                    Problem.BUSY, "mdev=%s is assigned to %s".formatted(mdev.uuid(), holder.get()));
        }
    }

    /// Refuses what [MachineService#detach] would refuse now.
    void detach(String name, UUID uuid) {
        ExternalMachine external = machines.external(name).orElse(null);
        if (external == null) {
            var _ = machines.device(name, uuid);
        } else if (external.sockets().stream().noneMatch(it -> it.mdev().uuid().equals(uuid))) {
            throw ProblemException.notFound("mdev=%s is not in machine=%s".formatted(uuid, name));
        }
    }
}
