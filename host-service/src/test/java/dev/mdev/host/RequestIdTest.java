package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import org.springframework.web.bind.annotation.RequestMethod;
import org.springframework.web.servlet.mvc.method.RequestMappingInfo;
import org.springframework.web.servlet.mvc.method.annotation.RequestMappingHandlerMapping;

import java.util.List;
import java.util.Map;

/// The id in a response finds the request in the log.
@ExtendWith(OutputCaptureExtension.class)
class RequestIdTest extends HostTest {
    private static final String PATH = "/api/v1/mistake";

    @Autowired
    @Qualifier("requestMappingHandlerMapping")
    private RequestMappingHandlerMapping paths;

    /// The controller at the path during the test.
    static final class Mistaken {
        public String serve() {
            return List.<String>of().getFirst();
        }
    }

    @Test
    void theLogHasAMistakeUnderTheIdThatTheClientIsTold(CapturedOutput output) throws Exception {
        RequestMappingInfo path =
                RequestMappingInfo.paths(PATH)
                        .methods(RequestMethod.GET)
                        .options(paths.getBuilderConfiguration())
                        .build();
        paths.registerMapping(path, new Mistaken(), Mistaken.class.getMethod("serve"));
        try {
            Answer answer = api.get(PATH).requireProblem(500, "internal");

            assertThat(answer.at("/detail")).contains("its log has the stack under this instance");
            assertThat(output.toString().lines())
                    .filteredOn(line -> line.contains("a request hit a bug in this service"))
                    .singleElement()
                    .asString()
                    .contains("[" + answer.header("X-Request-Id") + "]");
        } finally {
            paths.unregisterMapping(path);
        }
    }

    @Test
    void anEventOfARequestIsLoggedUnderItsIdAndAClientsOwnIdIsNotTaken(CapturedOutput output) {
        Answer answer =
                api.send(
                        "POST",
                        "/api/v1/machines",
                        "{\"name\":\"vm1\"}",
                        Map.of("Content-Type", Api.JSON, "X-Request-Id", "forged"));

        answer.requireStatus(201);
        assertThat(output.toString().lines())
                .filteredOn(line -> line.contains("MACHINE_CREATED machines/vm1"))
                .singleElement()
                .asString()
                .contains("[" + answer.header("X-Request-Id") + "]");
        assertThat(output.toString()).doesNotContain("forged");
    }
}
