package dev.mdev.host.access;

import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.security.authorization.AuthorizationDecision;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.annotation.web.configurers.AbstractHttpConfigurer;
import org.springframework.security.config.http.SessionCreationPolicy;
import org.springframework.security.config.observation.SecurityObservationSettings;
import org.springframework.security.core.Authentication;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.security.web.csrf.CsrfException;
import org.springframework.security.web.csrf.CsrfFilter;
import org.springframework.security.web.csrf.CsrfToken;
import org.springframework.security.web.csrf.CsrfTokenRepository;
import org.springframework.security.web.csrf.CsrfTokenRequestAttributeHandler;
import org.springframework.security.web.csrf.DefaultCsrfToken;
import org.springframework.security.web.firewall.RequestRejectedHandler;
import org.springframework.web.servlet.HandlerExceptionResolver;

import java.util.Set;

/// Puts Spring Security together: it keeps no sessions of its own, and every refusal is a problem
/// detail.
@Configuration(proxyBeanMethods = false)
class SecurityConfiguration {
    /// The header of a session's requests that change something.
    static final String CSRF_HEADER = "X-Csrf-Token";

    private static final Set<String> HARMLESS = Set.of("GET", "HEAD", "OPTIONS");

    /// The levels of the log.
    private static final String LOGGERS = "/actuator/loggers";

    private final HandlerExceptionResolver resolver;

    SecurityConfiguration(
            @Qualifier("handlerExceptionResolver") HandlerExceptionResolver resolver) {
        this.resolver = resolver;
    }

    @Bean
    SecurityFilterChain securityFilterChain(
            HttpSecurity http,
            Credentials credentials,
            AuditLog audit,
            AccessProperties properties) {
        return http.sessionManagement(
                        it -> it.sessionCreationPolicy(SessionCreationPolicy.STATELESS))
                .requestCache(AbstractHttpConfigurer::disable)
                .logout(AbstractHttpConfigurer::disable)
                .addFilterBefore(new CallerFilter(credentials), CsrfFilter.class)
                .addFilterBefore(
                        new RateFilter(properties.requestsPerSecond(), resolver), CsrfFilter.class)
                .addFilterBefore(new AuditFilter(audit, resolver), CsrfFilter.class)
                .csrf(it ->
                        it.csrfTokenRepository(new SessionCsrf())
                                .csrfTokenRequestHandler(new CsrfTokenRequestAttributeHandler())
                                .requireCsrfProtectionMatcher(SecurityConfiguration::needsCsrf))
                .authorizeHttpRequests(it ->
                        it.requestMatchers("/actuator/health", "/actuator/health/**")
                                .permitAll()
                                .requestMatchers(LOGGERS, LOGGERS + "/**")
                                .access((caller, _) ->
                                        new AuthorizationDecision(isAdministrator(caller.get())))
                                .requestMatchers("/actuator", "/actuator/**")
                                .access((caller, _) ->
                                        new AuthorizationDecision(seesEverything(caller.get())))
                                // The rest is the endpoints', see AccessInterceptor, and pages.
                                .anyRequest()
                                .permitAll())
                .exceptionHandling(it ->
                        it.authenticationEntryPoint((request, response, _) ->
                                        refuse(request, response, reasonOf(request)))
                                .accessDeniedHandler((request, response, e) ->
                                        refuse(request, response, denial(request, e))))
                .build();
    }

    /// The metrics of requests are enough.
    @Bean
    SecurityObservationSettings securityObservationSettings() {
        return SecurityObservationSettings.noObservations();
    }

    /// A path that libraries read in different ways.
    @Bean
    RequestRejectedHandler requestRejectedHandler() {
        return (request, response, e) ->
                refuse(
                        request,
                        response,
                        new ProblemException(Problem.MALFORMED, String.valueOf(e.getMessage())));
    }

    /// Metrics name every device.
    private static boolean seesEverything(@Nullable Authentication authentication) {
        return authentication instanceof CallerAuthentication it
                && it.getPrincipal().reach().isEverything();
    }

    /// What the log has can be too much for others, or too little.
    private static boolean isAdministrator(@Nullable Authentication authentication) {
        return seesEverything(authentication)
                && authentication instanceof CallerAuthentication it
                && it.getPrincipal().role().includes(Role.ADMIN);
    }

    private static boolean needsCsrf(HttpServletRequest request) {
        return request.getAttribute(Credentials.SESSION) != null
                && !HARMLESS.contains(request.getMethod());
    }

    private void refuse(
            HttpServletRequest request, HttpServletResponse response, ProblemException why) {
        // A stream of events whose caller is known no longer ends without more words.
        if (!response.isCommitted()) {
            resolver.resolveException(request, response, null, why);
        }
    }

    private static ProblemException denial(HttpServletRequest request, Exception e) {
        if (e instanceof CsrfException) {
            return new ProblemException(
                    Problem.DENIED,
                    "a change in a session needs the header %s with the token of GET /api/v1/session"
                            .formatted(CSRF_HEADER));
        }
        return new ProblemException(
                Problem.DENIED,
                "this needs a token%s without tenant, parents and machines"
                        .formatted(
                                request.getRequestURI().startsWith(LOGGERS)
                                        ? " of an administrator"
                                        : ""));
    }

    /// Why a request has no caller.
    static ProblemException reasonOf(HttpServletRequest request) {
        return request.getAttribute(CallerFilter.REASON) instanceof ProblemException why
                ? why
                : new ProblemException(Problem.UNAUTHENTICATED, "no credentials");
    }

    /// The session has its token against forged requests.
    private static final class SessionCsrf implements CsrfTokenRepository {
        @Override
        public CsrfToken generateToken(HttpServletRequest request) {
            return new DefaultCsrfToken(CSRF_HEADER, "_csrf", Secrets.random());
        }

        @Override
        public void saveToken(
                @Nullable CsrfToken token,
                HttpServletRequest request,
                HttpServletResponse response) {}

        @Override
        public @Nullable CsrfToken loadToken(HttpServletRequest request) {
            return request.getAttribute(Credentials.SESSION) instanceof Sessions.Session session
                    ? new DefaultCsrfToken(CSRF_HEADER, "_csrf", session.csrf())
                    : null;
        }
    }
}
