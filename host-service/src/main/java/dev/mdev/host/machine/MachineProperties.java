package dev.mdev.host.machine;

import dev.mdev.host.problem.Setting;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.util.unit.DataSize;

import java.time.Duration;

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
}
