package dev.mdev.host.mdev;

import dev.mdev.api.Attribute;
import dev.mdev.api.MdevException;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Violation;

import jakarta.validation.constraints.NotNull;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;

/// A requested setting of a device.
record AttributeSpec(@NotNull String name, @NotNull String value) {
    /// The settings of a request, in their order.
    ///
    /// @throws ProblemException if one is invalid
    static List<Attribute> attributes(@Nullable List<AttributeSpec> specs) {
        List<Attribute> attributes = new ArrayList<>();
        for (AttributeSpec spec : specs == null ? List.<AttributeSpec>of() : specs) {
            try {
                attributes.add(new Attribute(spec.name, spec.value));
            } catch (MdevException e) {
                throw ProblemException.invalid(
                        List.of(new Violation("/attributes/" + attributes.size(), e.getMessage())));
            }
        }
        return attributes;
    }
}
