package dev.mdev.host.access;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.validation.Valid;
import jakarta.validation.constraints.NotNull;
import jakarta.validation.constraints.Size;

import org.springframework.http.HttpHeaders;
import org.springframework.http.ResponseCookie;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;

import java.time.Duration;
import java.time.Instant;

/// `/api/v1/session`: who the caller is, and sessions of browsers. A session's cookie is of no use
/// to scripts, and is not sent by pages of other sites.
@RestController
@RequestMapping("/api/v1/session")
class SessionController {
    private final Credentials credentials;
    private final Sessions sessions;

    SessionController(Credentials credentials, Sessions sessions) {
        this.credentials = credentials;
        this.sessions = sessions;
    }

    /// A token to begin a session with.
    record SignIn(@NotNull @Size(max = 256) String token) {
        @Override
        public String toString() {
            return "SignIn";
        }
    }

    /// Who the caller is.
    @GetMapping
    CallerView read(HttpServletRequest request) {
        Caller caller = Caller.known().orElseThrow(() -> SecurityConfiguration.reasonOf(request));
        return CallerView.of(
                caller,
                request.getAttribute(Credentials.SESSION) instanceof Sessions.Session session
                        ? session
                        : null);
    }

    /// Begins a session.
    @PostMapping
    ResponseEntity<CallerView> begin(
            @Valid @RequestBody SignIn signIn, HttpServletRequest request) {
        Token token = credentials.ofToken(signIn.token());
        Sessions.Begun begun = sessions.begin(token);
        return ResponseEntity.ok()
                .header(
                        HttpHeaders.SET_COOKIE,
                        cookie(
                                begun.secret(),
                                Duration.between(Instant.now(), begun.session().expires()),
                                request))
                .body(CallerView.of(token.caller(Caller.Means.SESSION), begun.session()));
    }

    /// Ends the caller's session, if there is one.
    @DeleteMapping
    ResponseEntity<Void> end(HttpServletRequest request) {
        Credentials.cookieOf(request).ifPresent(sessions::end);
        return ResponseEntity.noContent()
                .header(HttpHeaders.SET_COOKIE, cookie("", Duration.ZERO, request))
                .build();
    }

    private static String cookie(String value, Duration life, HttpServletRequest request) {
        return ResponseCookie.from(Credentials.COOKIE, value)
                .path("/")
                .httpOnly(true)
                .secure(request.isSecure())
                .sameSite("Strict")
                .maxAge(life)
                .build()
                .toString();
    }
}
