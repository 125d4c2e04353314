package dev.mdev.host.web;

import org.jspecify.annotations.Nullable;

import java.time.Duration;
import java.util.concurrent.Callable;

/// Does the work of calls that may take long.
public interface LongCalls {
    /// A call whose work is to go on after its answer.
    ///
    /// @param verb what it does
    /// @param target what it does that to, as `mdevs/UUID`
    /// @param path its path, without the query
    /// @param status the status of its answer if it succeeds and does not say another
    /// @param patience how long its client waits for its end
    /// @param whenEnded what else ends with it
    record Asked(
            String verb,
            String target,
            String method,
            String path,
            int status,
            Duration patience,
            Runnable whenEnded) {}

    /// Does the work for a client that waits. A stop of the service ends the waits of the work.
    ///
    /// @throws Exception the work's
    @Nullable Object perform(Callable<@Nullable Object> work) throws Exception;

    /// Begins the work for a client that does not wait, with the rights of the caller of this
    /// thread.
    ///
    /// @return the result, if the work ends while the client waits
    /// @throws AcceptedException if it goes on
    /// @throws Exception the work's
    @Nullable Object begin(Asked asked, Callable<@Nullable Object> work) throws Exception;
}
