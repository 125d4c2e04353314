package dev.mdev.host.mdev;

import dev.mdev.host.web.TagSource;
import dev.mdev.host.web.Tagged;

import org.springframework.stereotype.Component;

/// The tags of definitions.
@Component
record DefinitionTags(DefinitionService definitions) implements TagSource {
    @Override
    public String pattern() {
        return "/api/v1/definitions/{uuid}";
    }

    @Override
    public Tagged find(String uuid) {
        return definitions.view(MdevTags.parse(uuid));
    }
}
