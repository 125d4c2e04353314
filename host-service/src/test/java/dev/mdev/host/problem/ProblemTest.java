package dev.mdev.host.problem;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

import java.util.Arrays;

class ProblemTest {
    /// Clients compare these words: a change here breaks them.
    @Test
    void theTypesAreTheDocumentedOnes() {
        assertThat(Arrays.stream(Problem.values()).map(problem -> problem.type().toString()))
                .containsExactly(
                        "urn:mdev:problem:malformed",
                        "urn:mdev:problem:invalid",
                        "urn:mdev:problem:unauthenticated",
                        "urn:mdev:problem:not-found",
                        "urn:mdev:problem:method-not-allowed",
                        "urn:mdev:problem:not-acceptable",
                        "urn:mdev:problem:request-timeout",
                        "urn:mdev:problem:unsupported-media-type",
                        "urn:mdev:problem:content-too-large",
                        "urn:mdev:problem:exists",
                        "urn:mdev:problem:busy",
                        "urn:mdev:problem:no-capacity",
                        "urn:mdev:problem:wrong-state",
                        "urn:mdev:problem:changed",
                        "urn:mdev:problem:too-many-requests",
                        "urn:mdev:problem:denied",
                        "urn:mdev:problem:not-supported",
                        "urn:mdev:problem:unavailable",
                        "urn:mdev:problem:no-memory",
                        "urn:mdev:problem:timed-out",
                        "urn:mdev:problem:driver-failed",
                        "urn:mdev:problem:internal",
                        "urn:mdev:problem:store-full",
                        "urn:mdev:problem:store-failed");
    }

    @ParameterizedTest
    @EnumSource(Errno.class)
    void everyErrorNumberIsAnErrorToHttp(Errno errno) {
        assertThat(Problem.of(errno).status().isError()).isTrue();
    }

    @ParameterizedTest
    @CsvSource({
        "EINVAL, 422",
        "ENOENT, 404",
        "ENODEV, 404",
        "EEXIST, 409",
        "EBUSY, 409",
        "EUSERS, 409",
        "EACCES, 403",
        "EOPNOTSUPP, 501",
        "EAGAIN, 503",
        "ENOMEM, 507",
        "ETIMEDOUT, 504",
        "EIO, 502",
    })
    void anErrorNumberHasItsStatus(Errno errno, int status) {
        assertThat(Problem.of(errno).status().value()).isEqualTo(status);
    }

    @ParameterizedTest
    @CsvSource({
        "400, MALFORMED",
        "404, NOT_FOUND",
        "414, MALFORMED",
        "500, INTERNAL",
        "505, INTERNAL"
    })
    void aStatusOfTheWebLayerHasItsKind(int status, Problem problem) {
        assertThat(Problem.ofStatus(status)).isEqualTo(problem);
    }

    @Test
    void aBeanPathBecomesAJsonPointer() {
        assertThat(JsonTrouble.pointerOf("steps[3].count")).isEqualTo("/steps/3/count");
        assertThat(JsonTrouble.pointerOf("a~b/c")).isEqualTo("/a~0b~1c");
    }
}
