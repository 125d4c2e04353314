package dev.mdev.host.mdev;

import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.host.label.Metadata;

import jakarta.validation.Valid;
import jakarta.validation.constraints.NotBlank;
import jakarta.validation.constraints.NotNull;
import jakarta.validation.constraints.Size;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Map;

/// A request to define a device.
///
/// @param parent may be absent
/// @param type the type's id; or its name, if the parent is there
/// @param autostart whether it starts with its parent; false if absent
/// @param attributes its settings, in their order; none if absent
/// @param displayName a name for people
/// @param labels words to select by
public record DefinitionSpec(
        @NotBlank @Size(max = 64) String parent,
        @NotBlank @Size(max = 256) String type,
        @Nullable Boolean autostart,
        @Nullable @Size(max = MdevDefinition.MAX_ATTRIBUTES)
                List<@NotNull @Valid AttributeSpec> attributes,
        @Nullable String displayName,
        @Nullable String description,
        @Nullable Map<String, String> labels) {
    public Metadata metadata() {
        return Metadata.of(displayName, description, labels);
    }

    boolean hasMetadata() {
        return displayName != null || description != null || labels != null;
    }

    /// Refuses what makes no sense on any host.
    ///
    /// @throws dev.mdev.host.problem.ProblemException if there is such a value
    public void requireSense() {
        var _ = metadata();
        var _ = AttributeSpec.attributes(attributes);
    }
}
