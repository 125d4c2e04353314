package dev.mdev.host.desired;

import dev.mdev.host.access.AuditTrail;

/// A step of a plan.
sealed interface Planned {
    Step step();

    /// A step that can be done.
    ///
    /// @param call the call that does the same, for the audit log
    /// @param work throws if it fails
    record Work(Step step, AuditTrail.Call call, Runnable work) implements Planned {}

    /// A difference that no step ends.
    ///
    /// @param why what stands against it
    record Conflict(Step step, Refusal why) implements Planned {}

    static Planned of(
            Step.Action action,
            Object subject,
            String detail,
            AuditTrail.Call call,
            Runnable work) {
        return new Work(new Step(action, subject.toString(), detail), call, work);
    }

    static Planned conflict(Object subject, Refusal why) {
        return new Conflict(new Step(Step.Action.CONFLICT, subject.toString(), why.reason()), why);
    }
}
