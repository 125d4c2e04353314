package dev.mdev.host.mdev;

import dev.mdev.api.Attribute;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.host.label.Metadata;
import dev.mdev.host.web.Tagged;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.SortedMap;
import java.util.UUID;

/// A definition, as clients see it.
///
/// @param parent its parent's name; the parent may be absent
/// @param type its type's id
/// @param autostart whether it starts with its parent
/// @param attributes its settings, in their order
/// @param displayName a name for people
/// @param labels words to select by; its device has the same
record DefinitionView(
        UUID uuid,
        String parent,
        String type,
        boolean autostart,
        List<Attribute> attributes,
        @Nullable String displayName,
        @Nullable String description,
        SortedMap<String, String> labels)
        implements Tagged {
    static DefinitionView of(MdevDefinition definition, Metadata metadata) {
        return new DefinitionView(
                definition.uuid(),
                definition.parent(),
                definition.type(),
                definition.autostart(),
                definition.attributes(),
                metadata.displayName(),
                metadata.description(),
                metadata.labels());
    }

    @Override
    public String etag() {
        return Tagged.of(this);
    }
}
