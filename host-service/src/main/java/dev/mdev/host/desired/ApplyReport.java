package dev.mdev.host.desired;

import org.jspecify.annotations.Nullable;

import java.util.List;

/// What became of each step.
///
/// @param met whether all is as it should be now
record ApplyReport(boolean met, List<Done> steps) {
    /// The result of a step.
    ///
    /// @param done whether it is done
    /// @param code the kind of problem that it met, as an error has it
    /// @param reason why it is not done
    record Done(
            Step.Action action,
            String subject,
            String detail,
            boolean done,
            @Nullable String code,
            @Nullable String reason) {
        static Done of(Step step) {
            return new Done(step.action(), step.subject(), step.detail(), true, null, null);
        }

        static Done refused(Step step, Refusal why) {
            return new Done(
                    step.action(),
                    step.subject(),
                    step.detail(),
                    false,
                    why.problem().code(),
                    why.reason());
        }
    }
}
