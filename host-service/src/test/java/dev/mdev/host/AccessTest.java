package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.time.Duration;
import java.time.Instant;
import java.util.Map;

/// Tokens and sessions of a running server.
class AccessTest extends SecuredTest {
    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "Bearer ",
                "Bearer x",
                "Bearer mdev_0123456789abcdef_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                "Basic YWRtaW46YWRtaW4="
            })
    void aRequestWithoutValidCredentialsIsToldWhatToSend(String authorization) {
        Map<String, String> headers =
                authorization.isEmpty() ? Map.of() : Map.of("Authorization", authorization);

        Answer answer = anyone.send("GET", "/api/v1/mdevs", "", headers);

        answer.requireProblem(401, "unauthenticated");
        assertThat(answer.header("WWW-Authenticate")).isEqualTo("Bearer realm=\"mdev\"");
    }

    @Test
    void healthIsPublicAndMetricsAreNot() {
        anyone.get("/actuator/health/readiness").requireStatus(200);
        anyone.get("/actuator/prometheus").requireProblem(401, "unauthenticated");
        admin.get("/actuator/prometheus").requireStatus(200);
        token("viewer", "").get("/actuator/prometheus").requireStatus(200);
        tenant("red", "admin").get("/actuator/prometheus").requireProblem(403, "denied");
    }

    @Test
    void theServiceTellsWhatItWasBuiltFrom() {
        Answer info = admin.get("/actuator/info").requireStatus(200);
        Answer root = tenant("red", "viewer").get("/api/v1").requireStatus(200);

        assertThat(info.at("/build/version")).isEqualTo("4.5.6").isEqualTo(root.at("/version"));
        assertThat(info.at("/git/commit/id")).isEqualTo("0123456").isEqualTo(root.at("/commit"));
    }

    @Test
    void aTokenWorksUntilItIsRevoked() {
        As viewer = token("viewer", "");
        viewer.get("/api/v1/mdevs").requireStatus(200);
        assertThat(admin.get("/api/v1/tokens").text()).doesNotContain(viewer.token.substring(22));

        admin.delete("/api/v1/tokens/" + viewer.id).requireStatus(204);

        viewer.get("/api/v1/mdevs").requireProblem(401, "unauthenticated");
        admin.delete("/api/v1/tokens/" + viewer.id).requireProblem(404, "not-found");
    }

    @Test
    void aTokenEndsAtItsTime() {
        Duration life = Duration.ofMillis(700);
        Instant end = Instant.now().plus(life);
        Answer made = tokenUntil(end);
        while (made.status() == 422) {
            // On a busy machine, the time is over when the service hears of it.
            life = life.multipliedBy(2);
            end = Instant.now().plus(life);
            made = tokenUntil(end);
        }
        As brief = new As(made.requireStatus(201).at("/token"));
        Answer answer = brief.get("/api/v1/mdevs");
        while (answer.status() == 200) {
            assertThat(Instant.now()).isBefore(end.plusSeconds(300));
            answer = brief.get("/api/v1/mdevs");
        }
        answer.requireProblem(401, "unauthenticated");
        assertThat(Instant.now()).isAfterOrEqualTo(end);
        admin.post(
                        "/api/v1/tokens",
                        "{\"name\":\"a\",\"role\":\"viewer\",\"expires\":\"2001-01-01T00:00:00Z\"}")
                .requireProblem(422, "invalid");
    }

    private Answer tokenUntil(Instant end) {
        return admin.post(
                "/api/v1/tokens",
                "{\"name\":\"brief\",\"role\":\"viewer\",\"expires\":\"%s\"}".formatted(end));
    }

    @Test
    void aForgedSecretOfAnExistingTokenIsNotAccepted() {
        As viewer = token("viewer", "");
        char last = viewer.token.charAt(30);
        String forged =
                viewer.token.substring(0, 30)
                        + (last == 'A' ? 'B' : 'A')
                        + viewer.token.substring(31);

        new As(forged).get("/api/v1/mdevs").requireProblem(401, "unauthenticated");
    }

    @Test
    void anAdministratorOfATenantMakesTokensOfThisTenantOnly() {
        As red = tenant("red", "admin");
        Answer made = red.post("/api/v1/tokens", "{\"name\":\"x\",\"role\":\"viewer\"}");
        made.requireStatus(201);
        assertThat(made.at("/tenant")).isEqualTo("red");
        red.post("/api/v1/tokens", "{\"name\":\"x\",\"role\":\"viewer\",\"tenant\":\"blue\"}")
                .requireProblem(403, "denied");
        As blue = tenant("blue", "admin");
        blue.get("/api/v1/tokens/" + made.at("/id")).requireProblem(404, "not-found");
        blue.delete("/api/v1/tokens/" + made.at("/id")).requireProblem(404, "not-found");
        assertThat(blue.get("/api/v1/tokens").body().at("/items")).hasSize(1);
    }

    @Test
    void aSessionHasACookieThatScriptsCannotReadAndChangesNeedItsSecret() {
        As operator = token("operator", "");
        Answer begun =
                anyone.post("/api/v1/session", "{\"token\":\"%s\"}".formatted(operator.token));
        begun.requireStatus(200);
        String setCookie = begun.header("Set-Cookie");
        assertThat(setCookie)
                .contains("HttpOnly", "SameSite=Strict", "Path=/")
                .doesNotContain(operator.token);
        String cookie = setCookie.substring(0, setCookie.indexOf(';'));
        Map<String, String> session = Map.of("Cookie", cookie);

        Answer who = anyone.send("GET", "/api/v1/session", "", session);
        assertThat(who.at("/role")).isEqualTo("operator");
        assertThat(who.at("/means")).isEqualTo("session");
        Map<String, String> withSecret =
                Map.of("Cookie", cookie, "X-Csrf-Token", who.at("/csrf/token"));
        anyone.send("GET", "/api/v1/mdevs", "", session).requireStatus(200);
        Answer refused =
                anyone.send("DELETE", "/api/v1/machines/absent", "", session)
                        .requireProblem(403, "denied");
        assertThat(refused.at("/detail")).contains("X-Csrf-Token");
        anyone.send("DELETE", "/api/v1/machines/absent", "", withSecret)
                .requireProblem(404, "not-found");

        anyone.send("DELETE", "/api/v1/session", "", withSecret).requireStatus(204);
        anyone.send("GET", "/api/v1/mdevs", "", session).requireProblem(401, "unauthenticated");
    }

    @Test
    void aSessionEndsWithItsToken() {
        As operator = token("operator", "");
        Answer begun =
                anyone.post("/api/v1/session", "{\"token\":\"%s\"}".formatted(operator.token));
        String setCookie = begun.header("Set-Cookie");
        Map<String, String> session =
                Map.of("Cookie", setCookie.substring(0, setCookie.indexOf(';')));
        anyone.send("GET", "/api/v1/session", "", session).requireStatus(200);

        admin.delete("/api/v1/tokens/" + operator.id).requireStatus(204);

        anyone.send("GET", "/api/v1/session", "", session).requireProblem(401, "unauthenticated");
    }

    @Test
    void aStreamOfEventsEndsWithItsToken() {
        As viewer = token("viewer", "");
        try (Watch watch =
                Watch.open(
                        port(),
                        "/api/v1/events",
                        "Authorization",
                        "Bearer " + viewer.token,
                        "Connection",
                        "close")) {
            assertThat(watch.next().name()).isEqualTo("open");
            admin.delete("/api/v1/tokens/" + viewer.id).requireStatus(204);
            watch.awaitEnd();
        }
    }
}
