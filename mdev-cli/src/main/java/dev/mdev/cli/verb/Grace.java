package dev.mdev.cli.verb;

import dev.mdev.cli.client.ApiPath;
import dev.mdev.cli.failure.Failure;
import dev.mdev.cli.text.Units;

import org.jspecify.annotations.Nullable;

import java.time.Duration;

/// How long a machine may take to release a device that ends.
///
/// @param time absent if only an idle device ends
/// @param keep whether the machine keeps the device if it does not release it
record Grace(@Nullable Duration time, boolean keep) {
    /// @throws Failure if it is no duration, or if there is a rule for its end but no time
    static Grace of(@Nullable String time, boolean keep) {
        if (time == null && keep) {
            throw Failure.usage("--no-force needs --grace");
        }
        return new Grace(time == null ? null : Session.duration("grace", time), keep);
    }

    /// The call with these parameters.
    ApiPath on(ApiPath path) {
        if (time == null) {
            return path;
        }
        ApiPath timed = path.with("grace", Units.text(time));
        return keep ? timed.with("force", false) : timed;
    }

    /// How long the call may take for it.
    Duration patience() {
        return time == null ? Duration.ZERO : time;
    }
}
