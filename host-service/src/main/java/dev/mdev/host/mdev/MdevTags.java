package dev.mdev.host.mdev;

import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.web.StrictUuid;
import dev.mdev.host.web.TagSource;
import dev.mdev.host.web.Tagged;

import org.springframework.stereotype.Component;

import java.util.UUID;

/// The tags of devices.
@Component
record MdevTags(MdevService mdevs) implements TagSource {
    @Override
    public String pattern() {
        return "/api/v1/mdevs/{uuid}";
    }

    @Override
    public Tagged find(String uuid) {
        return mdevs.view(parse(uuid));
    }

    /// @throws ProblemException if it is none
    static UUID parse(String text) {
        if (!StrictUuid.isUuid(text)) {
            throw new ProblemException(Problem.MALFORMED, "uuid=%s is not a UUID".formatted(text));
        }
        return UUID.fromString(text);
    }
}
