package dev.mdev.host.machine;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.vm.MachineSpec;
import dev.mdev.host.problem.Setting;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.util.unit.DataSize;

import java.time.Duration;
import java.util.List;

/// The operator's limits for virtual machines.
///
/// @param maxMachines the maximum number of machines
/// @param maxVcpus the maximum number of virtual processors of all machines together
/// @param maxRam the maximum RAM of all machines together
/// @param maxProgramTime the longest deadline of a guest program
/// @param maxProgramValues the maximum number of values that the steps of one program return
///   together
@ConfigurationProperties("mdev.machines")
record MachineProperties(
        @DefaultValue("16") int maxMachines,
        @DefaultValue("64") int maxVcpus,
        @DefaultValue("2GB") DataSize maxRam,
        @DefaultValue("60s") Duration maxProgramTime,
        @DefaultValue("65536") int maxProgramValues) {
    MachineProperties {
        Setting.require(maxMachines >= 0, "mdev.machines.max-machines", maxMachines);
        Setting.require(maxVcpus >= 0, "mdev.machines.max-vcpus", maxVcpus);
        Setting.require(!maxRam.isNegative(), "mdev.machines.max-ram", maxRam);
        Setting.require(
                maxProgramTime.isPositive(), "mdev.machines.max-program-time", maxProgramTime);
        Setting.require(
                maxProgramValues >= 0, "mdev.machines.max-program-values", maxProgramValues);
    }

    /// Refuses a machine that exceeds a limit.
    ///
    /// @param isExternal whether another program runs it: it takes no processor and no RAM then
    /// @param guests the machines that this service runs
    /// @param count the number of all machines
    /// @throws MdevException EUSERS if so
    void requireRoom(MachineSpec wanted, boolean isExternal, List<MachineSpec> guests, int count) {
        if (count >= maxMachines) {
            throw full("there are already %d machines, the maximum".formatted(count));
        }
        int freeVcpus = maxVcpus - guests.stream().mapToInt(MachineSpec::vcpus).sum();
        if (!isExternal && wanted.vcpus() > freeVcpus) {
            throw full(
                    "vcpus=%d do not fit, %d are free for machines"
                            .formatted(wanted.vcpus(), Math.max(0, freeVcpus)));
        }
        long freeBytes = maxRam.toBytes() - guests.stream().mapToLong(MachineSpec::ramBytes).sum();
        if (wanted.ramBytes() > freeBytes) {
            throw full(
                    "ramBytes=%d of RAM do not fit, %d are free for machines"
                            .formatted(wanted.ramBytes(), Math.max(0, freeBytes)));
        }
    }

    private static MdevException full(String what) {
        return new MdevException(Errno.EUSERS, what);
    }
}
