package dev.mdev.host.access;

import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Violation;
import dev.mdev.host.web.Filter;
import dev.mdev.host.web.Items;

import org.jspecify.annotations.Nullable;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

import java.util.List;

/// `/api/v1/audit`.
@RestController
@RequestMapping("/api/v1/audit")
class AuditController {
    private static final int MAX_LIMIT = 1000;

    private final AuditLog audit;

    AuditController(AuditLog audit) {
        this.audit = audit;
    }

    /// The records after a number, oldest first.
    @GetMapping
    Items<AuditRecord> list(
            @RequestParam(defaultValue = "0") long after,
            @RequestParam(defaultValue = "100") int limit,
            @RequestParam(required = false) @Nullable String caller,
            @RequestParam(required = false) @Nullable String tenant,
            @RequestParam(required = false) AuditRecord.@Nullable Phase phase,
            @RequestParam(required = false) @Nullable String path) {
        if (after < 0 || limit < 1 || limit > MAX_LIMIT) {
            throw ProblemException.invalid(
                    List.of(new Violation("", "after is at least 0, limit is 1 to " + MAX_LIMIT)));
        }
        List<AuditRecord> found =
                audit.after(
                        after,
                        limit + 1,
                        it ->
                                Filter.fits(caller, it.caller())
                                        && Filter.fits(tenant, it.tenant())
                                        && Filter.fits(phase, it.phase())
                                        && Filter.fits(path, it.path()));
        if (found.size() <= limit) {
            return Items.all(found);
        }
        List<AuditRecord> part = found.subList(0, limit);
        return new Items<>(part, Long.toString(part.getLast().number()));
    }

    /// Whether the files are as they were written.
    ///
    /// @param of the number of a record whose hash is wanted
    @GetMapping("/verification")
    AuditLog.Verdict verify(@RequestParam(defaultValue = "0") long of) {
        return audit.verify(of);
    }
}
