package dev.mdev.host.access;

import org.jspecify.annotations.Nullable;
import org.springframework.util.unit.DataSize;

import java.util.Map;
import java.util.Optional;

/// What a tenant may have; no limit where a value is absent.
///
/// @param devices devices and definitions
/// @param machines machines
/// @param ram RAM of all its machines
/// @param pages pages of its devices, by pool
record Quota(
        @Nullable Integer devices,
        @Nullable Integer machines,
        @Nullable DataSize ram,
        @Nullable Map<String, Long> pages) {
    /// Why a sum of costs is too much, if it is.
    Optional<String> excess(Cost sum) {
        if (devices != null && sum.devices() > devices) {
            return over("devices", sum.devices(), devices);
        }
        if (machines != null && sum.machines() > machines) {
            return over("machines", sum.machines(), machines);
        }
        if (ram != null && sum.ramBytes() > ram.toBytes()) {
            return over("ramBytes", sum.ramBytes(), ram.toBytes());
        }
        return pages == null
                ? Optional.empty()
                : pages.entrySet().stream()
                        .filter(it -> sum.pages().getOrDefault(it.getKey(), 0L) > it.getValue())
                        .findFirst()
                        .flatMap(it ->
                                over(
                                        "pages of pool=" + it.getKey(),
                                        sum.pages().getOrDefault(it.getKey(), 0L),
                                        it.getValue()));
    }

    private static Optional<String> over(String what, long wanted, long most) {
        return Optional.of("%s: %d wanted in all, %d allowed".formatted(what, wanted, most));
    }
}
