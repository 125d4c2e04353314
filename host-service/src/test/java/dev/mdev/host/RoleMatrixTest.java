package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.host.access.AccessRulesView;

import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.http.MediaType;
import org.springframework.web.bind.annotation.RequestMethod;
import org.springframework.web.servlet.mvc.method.RequestMappingInfo;
import org.springframework.web.servlet.mvc.method.annotation.RequestMappingHandlerMapping;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/// Every endpoint, as Spring knows it, against every kind of caller. An endpoint without a rule
/// fails.
class RoleMatrixTest extends SecuredTest {
    private static final Set<Integer> REFUSED = Set.of(401, 403);
    private static final List<String> ROLES = List.of("viewer", "operator", "admin");

    @Autowired
    @Qualifier("requestMappingHandlerMapping")
    private RequestMappingHandlerMapping mapping = new RequestMappingHandlerMapping();

    /// An endpoint, and a request for it that names nothing that exists.
    private record Endpoint(String method, String pattern, RequestMappingInfo info) {
        String name() {
            return method + " " + pattern;
        }

        String path() {
            return pattern.replace("{uuid}", "99999999-9999-4999-8999-999999999999")
                    .replace("{vcpu}", "0")
                    .replaceAll("\\{[a-z]+}", "absent");
        }

        Map<String, String> headers() {
            Map<String, String> headers = new HashMap<>();
            MediaType read =
                    info.getConsumesCondition().getConsumableMediaTypes().stream()
                            .findFirst()
                            .orElse(MediaType.APPLICATION_JSON);
            if (!method.equals("GET")) {
                headers.put("Content-Type", read.toString());
            }
            // A stream of events has no end; its path has one rule, also for the list of them.
            info.getProducesCondition().getProducibleMediaTypes().stream()
                    .filter(type -> !type.equals(MediaType.TEXT_EVENT_STREAM))
                    .findFirst()
                    .ifPresent(type -> headers.put("Accept", type.toString()));
            return headers;
        }
    }

    private List<Endpoint> endpoints() {
        return mapping.getHandlerMethods().entrySet().stream()
                .flatMap(it ->
                        it.getKey().getPatternValues().stream()
                                .filter(pattern -> !pattern.equals("/error"))
                                .flatMap(pattern ->
                                        it.getKey().getMethodsCondition().getMethods().stream()
                                                .map(RequestMethod::name)
                                                .map(method ->
                                                        new Endpoint(
                                                                method, pattern, it.getKey()))))
                .toList();
    }

    @Test
    void everyEndpointHasARuleAndEveryRuleAnEndpoint() {
        Set<String> endpoints = new TreeSet<>();
        endpoints().forEach(endpoint -> endpoints.add(endpoint.name()));

        assertThat(AccessRulesView.endpoints()).containsExactlyInAnyOrderElementsOf(endpoints);
    }

    @Test
    void everyEndpointRefusesExactlyTheCallersThatItsRuleExcludes() {
        Map<String, As> callers = new LinkedHashMap<>();
        callers.put("nobody", new As(""));
        for (String role : ROLES) {
            callers.put(role, token(role, ""));
            callers.put("red " + role, tenant("red", role));
        }
        Map<String, String> wrong = new LinkedHashMap<>();
        for (Endpoint endpoint : endpoints()) {
            callers.forEach((who, caller) -> {
                Answer answer = call(endpoint, caller);
                int expected = refusalOf(endpoint, who);
                boolean isRight =
                        expected == 0
                                ? !REFUSED.contains(answer.status()) && answer.status() != 500
                                : answer.status() == expected;
                if (!isRight) {
                    wrong.put(
                            who + ": " + endpoint.name(),
                            "status %d, expected %s"
                                    .formatted(
                                            answer.status(),
                                            expected == 0 ? "no refusal" : expected));
                }
            });
        }
        assertThat(wrong).isEmpty();
    }

    private Answer call(Endpoint endpoint, As caller) {
        String body = endpoint.method().equals("GET") ? "" : "{}";
        return caller.send(endpoint.method(), endpoint.path(), body, endpoint.headers());
    }

    /// The status of the refusal; 0 if the rule lets the caller in.
    private static int refusalOf(Endpoint endpoint, String who) {
        if (AccessRulesView.isPublic(endpoint.name())) {
            // These have no caller to refuse, but tell that there is none.
            return endpoint.name().startsWith("GET") && who.equals("nobody") ? 401 : 0;
        }
        if (who.equals("nobody")) {
            return 401;
        }
        String role = who.substring(who.indexOf(' ') + 1);
        boolean isLow =
                ROLES.indexOf(role) < ROLES.indexOf(AccessRulesView.roleOf(endpoint.name()));
        boolean isNarrow = who.contains(" ") && AccessRulesView.isOfTheHost(endpoint.name());
        return isLow || isNarrow ? 403 : 0;
    }
}
