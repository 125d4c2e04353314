package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import tools.jackson.databind.JsonNode;

import java.net.http.HttpHeaders;

/// The server's answer.
///
/// @param body the body as JSON; a missing node if there is none
record Answer(int status, HttpHeaders headers, String text, JsonNode body) {
    /// The answer, if it is a success of that status.
    Answer requireStatus(int expected) {
        assertThat(status).as("status; the body is %s", text).isEqualTo(expected);
        return this;
    }

    /// Requires a problem detail with all mandatory parts.
    Answer requireProblem(int expectedStatus, String code) {
        requireStatus(expectedStatus);
        assertThat(header("Content-Type")).startsWith("application/problem+json");
        assertThat(at("/type")).isEqualTo("urn:mdev:problem:" + code);
        assertThat(at("/code")).isEqualTo(code);
        assertThat(body.at("/status").asInt()).isEqualTo(expectedStatus);
        assertThat(at("/title")).isNotBlank();
        assertThat(at("/detail")).isNotBlank();
        assertThat(body.at("/retryable").isBoolean()).isTrue();
        assertThat(at("/instance")).isEqualTo("urn:uuid:" + header("X-Request-Id"));
        return this;
    }

    /// Requires a violation at a place of the body.
    Answer requireViolation(String pointer, String words) {
        assertThat(body.at("/violations"))
                .as("violations of %s", text)
                .anySatisfy(violation -> {
                    assertThat(violation.at("/pointer").asString()).isEqualTo(pointer);
                    assertThat(violation.at("/detail").asString()).contains(words);
                });
        return this;
    }

    /// The text at a JSON pointer.
    String at(String pointer) {
        return body.at(pointer).asString("");
    }

    /// The number at a JSON pointer.
    long numberAt(String pointer) {
        assertThat(body.at(pointer).isNumber()).as("%s of %s", pointer, text).isTrue();
        return body.at(pointer).asLong();
    }

    String header(String name) {
        return headers.firstValue(name).orElse("");
    }
}
