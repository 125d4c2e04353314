package dev.mdev.host.operation;

import dev.mdev.core.sync.LongWork;

import org.jspecify.annotations.Nullable;
import org.springframework.http.ProblemDetail;

import java.time.Instant;

/// An operation, as clients see it.
///
/// @param verb what it does: `remove`, `stop`, `defragment`, `repair` or `apply`
/// @param target what it does that to: `mdevs/UUID`, `parents/NAME` or `desired`
/// @param caller who began it
/// @param tenant the caller's tenant, if it has one
/// @param request the id of the call that began it
/// @param doing what it does at the moment, for people, if it tells
/// @param progress how far it is, if that is known
/// @param cancellable whether it can be cancelled now
/// @param status the HTTP status that the call would have had without being an operation; absent
///   while it runs
/// @param result the body that the call would have had; absent without one, or if it is longer than
///   1 MiB
/// @param problem what refused it, if something did
record OperationView(
        String id,
        String verb,
        String target,
        State state,
        String caller,
        @Nullable String tenant,
        String request,
        Instant started,
        @Nullable Instant ended,
        @Nullable String doing,
        @Nullable ProgressView progress,
        boolean cancellable,
        @Nullable Integer status,
        @Nullable Object result,
        @Nullable ProblemDetail problem) {
    /// What becomes of an operation.
    enum State {
        /// It goes on.
        RUNNING,
        /// It ends early, as soon as it can.
        CANCELLING,
        /// It ended, and did what was asked.
        DONE,
        /// It ended with a problem.
        FAILED,
        /// It was cancelled before its end.
        CANCELLED,
        /// The service was stopped before its end.
        INTERRUPTED;

        boolean isEnd() {
            return this != RUNNING && this != CANCELLING;
        }
    }

    /// How far it is.
    ///
    /// @param unit what is counted: `pages`, `devices` or `steps`
    record ProgressView(String unit, long done, long total) {
        static ProgressView of(LongWork.Progress progress) {
            return new ProgressView(progress.unit(), progress.done(), progress.total());
        }
    }
}
