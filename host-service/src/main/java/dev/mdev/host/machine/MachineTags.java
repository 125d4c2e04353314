package dev.mdev.host.machine;

import dev.mdev.host.web.TagSource;
import dev.mdev.host.web.Tagged;

import org.springframework.stereotype.Component;

/// The tags of machines.
@Component
record MachineTags(MachineCatalog machines) implements TagSource {
    @Override
    public String pattern() {
        return "/api/v1/machines/{name}";
    }

    @Override
    public Tagged find(String name) {
        return machines.view(name);
    }
}
