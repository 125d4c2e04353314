package dev.mdev.cli.verb;

import dev.mdev.cli.failure.Failure;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

import java.util.Optional;
import java.util.UUID;

/// A device as an argument, or with `-u`, as mdevctl's users write it.
final class WhichDevice {
    @Parameters(
            paramLabel = "UUID",
            arity = "0..1",
            converter = UuidConverter.class,
            description = "The device.")
    private @Nullable UUID uuid;

    @Option(
            names = {"-u", "--uuid"},
            paramLabel = "UUID",
            converter = UuidConverter.class,
            description = "The same, as with mdevctl.")
    private @Nullable UUID option;

    /// @throws Failure if two devices are named
    Optional<UUID> optional() {
        if (uuid != null && option != null) {
            throw Failure.usage("two devices: %s and -u %s".formatted(uuid, option));
        }
        return Optional.ofNullable(uuid != null ? uuid : option);
    }

    /// @throws Failure if no device is named, or two are
    UUID required() {
        return optional().orElseThrow(() -> Failure.usage("no device: wanted=UUID"));
    }
}
