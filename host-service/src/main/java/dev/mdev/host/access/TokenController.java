package dev.mdev.host.access;

import dev.mdev.host.problem.DryRunException;
import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Violation;
import dev.mdev.host.web.Filter;
import dev.mdev.host.web.Items;
import dev.mdev.host.web.Paging;

import jakarta.validation.Valid;

import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpStatus;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;

import java.net.URI;
import java.time.Instant;
import java.util.List;

/// `/api/v1/tokens`. An administrator of a tenant sees and makes only tokens within the own reach.
@RestController
@RequestMapping("/api/v1/tokens")
class TokenController {
    private final TokenStore tokens;

    TokenController(TokenStore tokens) {
        this.tokens = tokens;
    }

    @GetMapping
    Items<TokenView> list(
            @RequestParam(required = false) @Nullable Role role,
            @RequestParam(required = false) @Nullable String tenant,
            @RequestParam(defaultValue = Paging.DEFAULT_LIMIT) int limit,
            @RequestParam(required = false) @Nullable String after) {
        return new Paging(limit, after)
                .sorted(
                        tokens.list().stream()
                                .filter(it -> Filter.fits(role, it.role()))
                                .filter(it -> Filter.fits(tenant, it.reach().tenant()))
                                .filter(TokenController::isVisible),
                        Token::id)
                .map(TokenView::of);
    }

    @GetMapping("/{id}")
    TokenView read(@PathVariable String id) {
        return TokenView.of(find(id));
    }

    /// Makes a token. Only this answer has it.
    @PostMapping
    ResponseEntity<TokenView> make(
            @Valid @RequestBody TokenRequest asked,
            @RequestParam(defaultValue = "false") boolean dryRun) {
        Reach mine = Caller.current().reach();
        Reach reach = asked.reach(mine.tenant());
        if (!mine.includes(reach)) {
            throw new ProblemException(
                    Problem.DENIED, "a token cannot reach further than the one that makes it");
        }
        if (asked.expires() != null && !asked.expires().isAfter(Instant.now())) {
            throw ProblemException.invalid(
                    List.of(new Violation("/expires", "a time that is over")));
        }
        if (dryRun) {
            throw new DryRunException();
        }
        TokenStore.Made made =
                tokens.make(asked.name(), asked.wantedRole(), reach, asked.expires());
        return ResponseEntity.created(URI.create("/api/v1/tokens/" + made.token().id()))
                .body(TokenView.of(made));
    }

    /// Revokes a token, and ends its sessions.
    @DeleteMapping("/{id}")
    @ResponseStatus(HttpStatus.NO_CONTENT)
    void revoke(@PathVariable String id, @RequestParam(defaultValue = "false") boolean dryRun) {
        if (dryRun) {
            var _ = find(id);
            return;
        }
        if (!tokens.revoke(find(id).id())) {
            throw notFound(id);
        }
    }

    private Token find(String id) {
        return tokens.find(id).filter(TokenController::isVisible).orElseThrow(() -> notFound(id));
    }

    private static boolean isVisible(Token token) {
        return Caller.current().reach().includes(token.reach());
    }

    private static ProblemException notFound(String id) {
        return ProblemException.notFound("there is no token=" + id);
    }
}
