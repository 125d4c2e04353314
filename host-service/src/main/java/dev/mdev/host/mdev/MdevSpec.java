package dev.mdev.host.mdev;

import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.host.label.Metadata;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Violation;

import jakarta.validation.Valid;
import jakarta.validation.constraints.NotBlank;
import jakarta.validation.constraints.NotNull;
import jakarta.validation.constraints.Size;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Map;
import java.util.UUID;

/// A request for a device.
///
/// @param uuid its identity; generated if absent. If the path also names it, both must be equal
/// @param persist whether to define it as well, so that it survives a restart; false if absent
/// @param type the type's id or name
/// @param autostart whether a defined device starts with its parent; false if absent
/// @param attributes its settings, in their order; none if absent
/// @param displayName a name for people
/// @param labels words to select by
public record MdevSpec(
        @Nullable UUID uuid,
        @NotBlank @Size(max = 64) String parent,
        @NotBlank @Size(max = 256) String type,
        @Nullable Boolean persist,
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

    public boolean persists() {
        return persist != null && persist;
    }

    public boolean autostarts() {
        return autostart != null && autostart;
    }

    /// The same with other words beside it.
    public MdevSpec with(Metadata metadata) {
        return new MdevSpec(
                uuid,
                parent,
                type,
                persist,
                autostart,
                attributes,
                metadata.displayName(),
                metadata.description(),
                metadata.labels());
    }

    /// Whether it says no more than a definition's parent and type.
    public boolean isOnly(DefinitionSpec definition) {
        return parent.equals(definition.parent())
                && type.equals(definition.type())
                && persist == null
                && autostart == null
                && attributes == null
                && !hasMetadata();
    }

    /// Refuses what makes no sense on any host.
    ///
    /// @throws ProblemException if there is such a value
    public void requireSense() {
        var _ = metadata();
        var _ = AttributeSpec.attributes(attributes);
        if (autostart != null && !persists()) {
            throw ProblemException.invalid(
                    List.of(
                            new Violation(
                                    "/autostart", "only a device that persists starts by itself")));
        }
    }
}
