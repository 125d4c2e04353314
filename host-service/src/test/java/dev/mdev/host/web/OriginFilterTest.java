package dev.mdev.host.web;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.mock.web.MockFilterChain;
import org.springframework.mock.web.MockHttpServletRequest;
import org.springframework.mock.web.MockHttpServletResponse;
import org.springframework.util.unit.DataSize;
import org.springframework.web.servlet.ModelAndView;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

class OriginFilterTest {
    private final List<Exception> refused = new ArrayList<>();

    private OriginFilter filter(String... allowed) {
        return new OriginFilter(
                new WebProperties(
                        DataSize.ofBytes(1),
                        DataSize.ofBytes(1),
                        Duration.ofSeconds(1),
                        List.of(allowed)),
                (request, response, handler, e) -> {
                    refused.add(e);
                    return new ModelAndView();
                });
    }

    private static MockHttpServletRequest request(String method, @Nullable String host) {
        MockHttpServletRequest request = new MockHttpServletRequest(method, "/api/v1/parents");
        if (host != null) {
            request.addHeader("Host", host);
        }
        return request;
    }

    /// @return whether the request got through
    private static boolean pass(OriginFilter filter, MockHttpServletRequest request)
            throws Exception {
        MockFilterChain chain = new MockFilterChain();
        filter.doFilter(request, new MockHttpServletResponse(), chain);
        return chain.getRequest() != null;
    }

    @ParameterizedTest
    @CsvSource({
        "http://127.0.0.1:8080,    127.0.0.1:8080,  true",
        "http://LocalHost:8080,    localhost:8080,  true",
        "http://[::1]:8080,        [::1]:8080,      true",
        "https://mdev.example,     mdev.example,    true",
        "https://mdev.example,     mdev.example:443, true",
        "http://mdev.example:80,   mdev.example,    true",
        "https://console.example,  127.0.0.1:8080,  true",
        "http://console.example,   127.0.0.1:8080,  false",
        "https://console.example:1, 127.0.0.1:8080, false",
        "http://evil.example,      127.0.0.1:8080,  false",
        "http://127.0.0.1,         127.0.0.1:8080,  false",
        "http://127.0.0.1:9090,    127.0.0.1:8080,  false",
        "https://mdev.example:80,  mdev.example,    false",
        "http://127.0.0.1:8080@evil.example, 127.0.0.1:8080, false",
        "http://127.0.0.1:8080/,   127.0.0.1:8080,  false",
        "null,                     127.0.0.1:8080,  false",
        "null,                     null,            false",
        "'',                       127.0.0.1:8080,  false",
        "file://,                  127.0.0.1:8080,  false",
        "http://127.0.0.1:8080,    ,                false",
    })
    void onlyPagesOfItsOwnServerAndOfThoseThatAreAllowedChangeSomething(
            String origin, @Nullable String host, boolean passes) throws Exception {
        OriginFilter filter = filter("https://Console.example:443");
        MockHttpServletRequest request = request("POST", host);
        request.addHeader("Origin", origin);

        assertThat(pass(filter, request)).isEqualTo(passes);

        assertThat(refused).hasSize(passes ? 0 : 1);
        assertThat(refused)
                .allSatisfy(e -> {
                    assertThat(e).isInstanceOf(ProblemException.class);
                    assertThat(((ProblemException) e).problem()).isEqualTo(Problem.DENIED);
                    assertThat(e).hasMessageContaining("origin=" + origin);
                });
    }

    @ParameterizedTest
    @ValueSource(strings = {"GET", "HEAD", "OPTIONS"})
    void whatChangesNothingIsNotLookedAt(String method) throws Exception {
        MockHttpServletRequest request = request(method, "127.0.0.1:8080");
        request.addHeader("Origin", "http://evil.example");
        assertThat(pass(filter(), request)).isTrue();
    }

    @ParameterizedTest
    @ValueSource(strings = {"POST", "PUT", "DELETE", "PATCH", "ANYTHING"})
    void clientsThatAreNoBrowserSayNothingAndPass(String method) throws Exception {
        assertThat(pass(filter(), request(method, "127.0.0.1:8080"))).isTrue();
    }

    @Test
    void oneOriginOfSeveralThatIsNotOursIsEnough() throws Exception {
        MockHttpServletRequest request = request("DELETE", "127.0.0.1:8080");
        request.addHeader("Origin", "http://127.0.0.1:8080");
        request.addHeader("Origin", "http://evil.example");
        assertThat(pass(filter(), request)).isFalse();
    }

    @ParameterizedTest
    @ValueSource(strings = {"*", "console.example", "https://console.example/", ""})
    void whatIsToBeAllowedMustBeAnOrigin(String text) {
        assertThatThrownBy(() -> filter(text))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("mdev.web.allowed-origins=" + text);
    }
}
