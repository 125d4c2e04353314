package dev.mdev.host.access;

import dev.mdev.api.MdevException;
import dev.mdev.host.problem.Problems;

import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.MDC;
import org.springframework.stereotype.Component;

import java.time.Instant;

/// Records the parts of a request that changes many things: each as the call that changes the same,
/// with the id of the request.
///
/// Any thread may call all methods, for the caller that it works for.
@Component
public final class AuditTrail {
    private static final Logger log = LoggerFactory.getLogger(AuditTrail.class);
    private static final String ROOT = "/api/v1/";

    private final AuditLog audit;

    AuditTrail(AuditLog audit) {
        this.audit = audit;
    }

    /// A call.
    ///
    /// @param path without the first part of every path
    /// @param made the path of what it makes, if its own is another
    public record Call(String method, String path, @Nullable String made) {
        public static Call of(String method, String path) {
            return new Call(method, path, null);
        }
    }

    /// Records a change before it is made.
    ///
    /// @throws MdevException the files' error; the change must not be made then
    public void asked(Call call) {
        add(call, AuditRecord.Phase.ASKED, null);
    }

    /// Records what came of it.
    ///
    /// @param status the HTTP status that the call would have
    public void done(Call call, int status) {
        try {
            add(call, AuditRecord.Phase.DONE, status);
        } catch (MdevException e) {
            // The work is done, so a failure of the log can only be told.
            log.error("a record of the audit log is lost: {}", e.toString());
        }
    }

    /// Records the end of an operation.
    ///
    /// @param call the one that began it; it made the operation
    /// @param status the HTTP status that the call would have had without it
    public void ended(Call call, int status) {
        try {
            add(call, AuditRecord.Phase.ENDED, status, call.made);
        } catch (MdevException e) {
            log.error("a record of the audit log is lost: {}", e.toString());
        }
    }

    private void add(Call call, AuditRecord.Phase phase, @Nullable Integer status) {
        boolean isMade = status != null && status < 300;
        add(call, phase, status, isMade ? call.made : null);
    }

    private void add(
            Call call, AuditRecord.Phase phase, @Nullable Integer status, @Nullable String made) {
        Caller caller = Caller.current();
        String id = String.valueOf(MDC.get(Problems.REQUEST_ID));
        audit.add(number ->
                new AuditRecord(
                        number,
                        Instant.now(),
                        phase,
                        caller.name(),
                        caller.means(),
                        caller.reach().tenant(),
                        null,
                        call.method,
                        ROOT + call.path,
                        id,
                        status,
                        made == null ? null : ROOT + made,
                        null));
    }
}
