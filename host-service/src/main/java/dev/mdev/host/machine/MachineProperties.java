package dev.mdev.host.machine;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.util.unit.DataSize;

import java.time.Duration;

/// What the operator may set of virtual machines: the most of everything.
///
/// @param maxMachines machines at a time
/// @param maxRam RAM of all machines together
/// @param maxProgramTime how long a guest program may run
/// @param maxProgramValues values that the steps of one program may return together
@ConfigurationProperties("mdev.machines")
record MachineProperties(
        @DefaultValue("16") int maxMachines,
        @DefaultValue("2GB") DataSize maxRam,
        @DefaultValue("60s") Duration maxProgramTime,
        @DefaultValue("65536") int maxProgramValues) {}
