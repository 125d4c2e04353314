package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpRequest;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/// Invalid requests. Each gets a problem detail that names the error.
class HostileInputTest extends HostTest {
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{\"parent\":\"gpu0\"                    | 400 |         | not JSON",
                "[]                                      | 400 |         | expected here",
                "\"x\"                                   | 400 |         | expected here",
                "{\"parent\":\"gpu0\",\"x\":1}           | 400 | /x      | unknown field: x",
                "{\"parent\":\"a\",\"parent\":\"b\"}     | 400 |         | ",
                "{\"parent\":7,\"type\":\"t\"}           | 400 | /parent | string",
                "{\"parent\":{},\"type\":\"t\"}          | 400 | /parent | string",
                "{\"parent\":\"g\",\"type\":\"t\"} {}    | 400 |         | ",
                "{\"uuid\":\"1-1-1-1-1\"}                | 400 | /uuid   | is not a UUID",
                "{\"uuid\":\"AAAAAAAAAAAAAAAAAAAAAA==\"} | 400 | /uuid   | is not a UUID",
                "{\"uuid\":5}                            | 400 | /uuid   | UUID",
                "{\"uuid\":[]}                           | 400 | /uuid   | UUID",
                "{}                                      | 422 | /parent | blank",
                "{\"parent\":\" \",\"type\":\"t\"}       | 422 | /parent | blank",
                "{\"parent\":null,\"type\":\"t\"}        | 422 | /parent | blank",
                "{\"parent\":\"gpu9\",\"type\":\"t\"}    | 422 | /parent | parent=gpu9 is",
                "{\"parent\":\"gpu0\",\"type\":\"t\"}    | 422 | /type   | no type=t",
            })
    void aBodyThatMakesNoDevice(String body, int status, String pointer, String words) {
        Answer answer = api.post("/api/v1/mdevs", body);
        answer.requireProblem(status, status == 400 ? "malformed" : "invalid");
        answer.requireViolation(pointer == null ? "" : pointer, words == null ? "" : words);
        assertThat(api.namesOf("/api/v1/mdevs", "/uuid")).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{}                                   | 422 | /name   ",
                "{\"name\":\"\"}                      | 422 | /name   ",
                "{\"name\":\"a b\"}                   | 422 | /name   ",
                "{\"name\":\"../etc\"}                | 422 | /name   ",
                "{\"name\":\"a\",\"vcpus\":0}         | 422 | /vcpus  ",
                "{\"name\":\"a\",\"vcpus\":65}        | 422 | /vcpus  ",
                "{\"name\":\"a\",\"vcpus\":1.5}       | 400 | /vcpus  ",
                "{\"name\":\"a\",\"vcpus\":\"2\"}     | 400 | /vcpus  ",
                "{\"name\":\"a\",\"vcpus\":true}      | 400 | /vcpus  ",
                "{\"name\":\"a\",\"ramMib\":-1}       | 422 | /ramMib ",
                "{\"name\":\"a\",\"ramMib\":99999999} | 422 | /ramMib ",
                "{\"name\":\"a\",\"ramMib\":1e99}     | 400 | /ramMib ",
                "{\"name\":\"a\",\"ramMib\":99999999999999999999} | 400 | /ramMib ",
            })
    void aBodyThatMakesNoMachine(String body, int status, String pointer) {
        Answer answer = api.post("/api/v1/machines", body);
        answer.requireProblem(status, status == 400 ? "malformed" : "invalid");
        answer.requireViolation(pointer, "");
        assertThat(api.namesOf("/api/v1/machines", "/name")).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{}                                                          | 422 | /steps",
                "{\"steps\":[]}                                              | 422 | /steps",
                "{\"steps\":[null]}                                          | 422 | /steps/0",
                "{\"steps\":{}}                                              | 400 | /steps",
                "{\"steps\":[{}]}                                            | 400 | /steps/0",
                "{\"steps\":[{\"op\":\"halt\"}]}                             | 400 | /steps/0",
                "{\"steps\":[{\"op\":\"read\",\"value\":1}]}                 | 400 |"
                        + " /steps/0/value",
                "{\"steps\":[{\"op\":\"read\"}]}                             | 422 | /steps/0/at",
                "{\"steps\":[{\"op\":\"read\",\"at\":{}}]}                   | 422 | /steps/0/at",
                "{\"steps\":[{\"op\":\"read\",\"at\":{\"bar\":0}}]}          | 422 | /steps/0/at",
                "{\"steps\":[{\"op\":\"read\",\"at\":{\"gpa\":-1}}]}         | 400 |"
                        + " /steps/0/at/gpa",
                "{\"steps\":[{\"op\":\"read\",\"at\":{\"gpa\":\"x\"}}]}      | 400 |"
                        + " /steps/0/at/gpa",
                "{\"steps\":[{\"op\":\"read\",\"at\":{\"gpa\":\"0x\"}}]}     | 400 |"
                        + " /steps/0/at/gpa",
                "{\"steps\":[{\"op\":\"read\",\"at\":{\"gpa\":\"+1\"}}]}     | 400 |"
                        + " /steps/0/at/gpa",
                "{\"steps\":[{\"op\":\"read\",\"at\":{\"gpa\":\"0x10000000000000000\"}}]} | 400 |"
                        + " /steps/0/at/gpa",
                "{\"steps\":[{\"op\":\"read\",\"at\":{\"gpa\":\"0xffffffffffffffff\"}}]}  | 422 |"
                        + " /steps/0",
                "{\"steps\":[{\"op\":\"read\",\"at\":{\"gpa\":\"0xffffffffffff8\"},\"count\":2}]} |"
                        + " 422 | /steps/0",
                "{\"steps\":[{\"op\":\"read\",\"at\":{\"gpa\":0},\"width\":3}]}           | 422 |"
                        + " /steps/0/width",
                "{\"steps\":[{\"op\":\"read\",\"at\":{\"gpa\":0},\"width\":16}]}          | 422 |"
                        + " /steps/0/width",
                "{\"steps\":[{\"op\":\"read\",\"at\":{\"gpa\":0},\"count\":-1}]}          | 422 |"
                        + " /steps/0/count",
                "{\"steps\":[{\"op\":\"read\",\"at\":{\"gpa\":0},\"count\":4097}]}        | 422 |"
                        + " /steps/0",
                "{\"steps\":[{\"op\":\"write\",\"at\":{\"gpa\":0},\"count\":4294967297,\"stride\":0}]}"
                    + " | 422 | /steps/0",
                "{\"steps\":[{\"op\":\"write\",\"at\":{\"gpa\":0},\"stride\":-8,\"count\":2}]}    |"
                        + " 422 | /steps/0",
                "{\"steps\":[{\"op\":\"write\",\"at\":{\"gpa\":0},\"stride\":-9223372036854775808,\"count\":9}]}"
                    + " | 422 | /steps/0",
                "{\"steps\":[{\"op\":\"write\",\"at\":{\"gpa\":0},\"stride\":9223372036854775807,\"count\":9}]}"
                    + "  | 422 | /steps/0",
                "{\"steps\":[{\"op\":\"fill\",\"at\":{\"gpa\":0},\"bytes\":12}]}          | 422 |"
                        + " /steps/0/bytes",
                "{\"steps\":[{\"op\":\"fill\",\"at\":{\"gpa\":0}}]}                       | 422 |"
                        + " /steps/0/bytes",
                "{\"steps\":[{\"op\":\"fill\",\"at\":{\"gpa\":0},\"bytes\":\"0xfffffffffffffff8\"}]}"
                    + " | 422 | /steps/0/bytes",
                "{\"steps\":[{\"op\":\"read\",\"at\":{\"gpa\":0}}],\"deadlineMillis\":0}         |"
                        + " 422 | /deadlineMillis",
                "{\"steps\":[{\"op\":\"read\",\"at\":{\"gpa\":0}}],\"deadlineMillis\":99999999}  |"
                        + " 422 | /deadlineMillis",
                "{\"steps\":[{\"op\":\"read\",\"at\":{\"gpa\":0},\"count\":4000},{\"op\":\"read\",\"at\":{\"gpa\":0},\"count\":4000}]}"
                    + " | 422 | /steps",
            })
    void aProgramThatCannotBe(String program, int status, String pointer) {
        api.createMachine("vm1");
        Answer answer = api.run("vm1", program);
        answer.requireProblem(status, status == 400 ? "malformed" : "invalid");
        answer.requireViolation(pointer, "");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "\"offset\":\"0x1000000\"                               | /steps/0 | leaves the"
                        + " BAR",
                "\"offset\":\"0xfffffd\"                                | /steps/0 | leaves the"
                        + " BAR",
                "\"offset\":\"0xffffffffffffffff\"                      | /steps/0 | leaves the"
                        + " BAR",
            })
    void aBarIsNotOverrun(String address, String pointer, String words) {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        UUID neighbour = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("vm1", mdev, neighbour);
        Answer answer =
                api.run(
                        "vm1",
                        "{\"steps\":[{\"op\":\"write\",\"at\":{\"mdev\":\"%s\",\"bar\":0,%s}}]}"
                                .formatted(mdev, address));
        answer.requireProblem(422, "invalid").requireViolation(pointer, words);
        assertThat(api.get("/api/v1/mdevs/" + neighbour).numberAt("/faults")).isZero();
    }

    @ParameterizedTest
    @CsvSource({
        "0x0,        2, 16777216",
        "0x0,        3, 8388608",
        "0xfffff8,   2, 8",
        "0x0,        2, -8",
        "0x0,        2, -9223372036854775808",
        "0x8,        4294967296, 9223372036854775807",
    })
    void aRowDoesNotLeaveItsBar(String offset, long count, long stride) {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("vm1", mdev);
        Answer answer =
                api.run(
                        "vm1",
                        """
                        {"steps":[{"op":"write","at":{"mdev":"%s","bar":0,"offset":"%s"},"count":%d,"stride":%d}]}\
                        """
                                .formatted(mdev, offset, count, stride));
        answer.requireProblem(422, "invalid").requireViolation("/steps/0", "leaves the BAR");
    }

    @Test
    void theLastBytesOfABarAreInside() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("vm1", mdev);
        Answer answer =
                api.run(
                        "vm1",
                        """
                        {"steps":[{"op":"write","at":{"mdev":"%s","bar":0,"offset":"0xfffff8"},"count":2097152,"stride":-8}],
                         "deadlineMillis":600000}\
                        """
                                .formatted(mdev));
        assertThat(answer.requireStatus(200).numberAt("/steps/0/completed")).isEqualTo(2097152);
    }

    @Test
    void anotherMachinesDeviceIsNotAddressed() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("vm1", mdev);
        api.createMachine("vm2");
        String program =
                "{\"steps\":[{\"op\":\"read\",\"at\":{\"mdev\":\"%s\",\"bar\":0}}]}"
                        .formatted(mdev);
        api.run("vm2", program)
                .requireProblem(422, "invalid")
                .requireViolation("/steps/0/at/mdev", "is not in machine=vm2");
        api.run("vm1", program.replace("\"bar\":0", "\"bar\":1"))
                .requireProblem(422, "invalid")
                .requireViolation("/steps/0/at/bar", "no bar=1");
    }

    @Test
    void tooManyStepsAreRefused() {
        api.createMachine("vm1");
        String step = "{\"op\":\"read\",\"at\":{\"gpa\":0}}";
        String steps = String.join(",", java.util.Collections.nCopies(1025, step));
        api.run("vm1", "{\"steps\":[" + steps + "]}")
                .requireProblem(422, "invalid")
                .requireViolation("/steps", "1024");
    }

    @ParameterizedTest
    @CsvSource({
        "GET,    /api/v1/nothing,                     404, not-found",
        "GET,    /nothing,                            404, not-found",
        "GET,    /error,                              404, not-found",
        "GET,    /api/v1/parents/nope,                404, not-found",
        "GET,    /api/v1/parents/gpu0/types/nope,     404, not-found",
        "GET,    /api/v1/mdevs/nope,                  400, malformed",
        "GET,    /api/v1/mdevs/1-1-1-1-1,             400, malformed",
        "GET,    /api/v1/mdevs/00000000-0000-0000-0000-000000000000, 404, not-found",
        "DELETE, /api/v1/mdevs/00000000-0000-0000-0000-000000000000, 404, not-found",
        "POST,   /api/v1/mdevs/00000000-0000-0000-0000-000000000000/revoke, 404, not-found",
        "GET,    /api/v1/machines/nope,               404, not-found",
        "POST,   /api/v1/machines/nope/vcpus/0/interrupt, 404, not-found",
        "PATCH,  /api/v1/parents,                     405, method-not-allowed",
        "DELETE, /api/v1/events,                      405, method-not-allowed",
        "GET,    /api/v1/events?after=x,              400, malformed",
        "GET,    /api/v1/events?after=-1,             400, malformed",
        "GET,    /actuator/env,                       404, not-found",
    })
    void aPathThatLeadsNowhere(String method, String path, int status, String code) {
        Answer answer = api.send(method, path, "", Map.of());
        answer.requireProblem(status, code);
        if (status == 405) {
            assertThat(answer.header("Allow")).isNotEmpty();
        }
    }

    @Test
    void formatsThatAreNotSpokenAreRefused() {
        api.send("POST", "/api/v1/mdevs", "<x/>", Map.of("Content-Type", "text/xml"))
                .requireProblem(415, "unsupported-media-type");
        api.send("POST", "/api/v1/mdevs", "{}", Map.of())
                .requireProblem(415, "unsupported-media-type");
        api.send(
                        "PUT",
                        "/api/v1/mdevs/" + UUID.randomUUID(),
                        "{}",
                        Map.of("Content-Type", "application/octet-stream"))
                .requireProblem(415, "unsupported-media-type");
        api.send("GET", "/api/v1/parents", "", Map.of("Accept", "text/html"))
                .requireProblem(406, "not-acceptable");
        api.send("POST", "/api/v1/mdevs", "", Map.of("Content-Type", "application/json"))
                .requireProblem(400, "malformed");
    }

    @Test
    void aBodyThatIsTooLargeIsRefusedWhetherItSaysSoOrNot() {
        String large = " ".repeat((1 << 20) + 1);
        api.post("/api/v1/mdevs", large).requireProblem(413, "content-too-large");

        HttpRequest chunked =
                HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port() + "/api/v1/mdevs"))
                        .header("Content-Type", "application/json")
                        .POST(
                                HttpRequest.BodyPublishers.ofInputStream(() ->
                                        new ByteArrayInputStream(
                                                large.getBytes(StandardCharsets.UTF_8))))
                        .build();
        api.send(chunked).requireProblem(413, "content-too-large");
    }

    @Test
    void aPageWhoseNameWasMadeToPointHereReadsNothing() throws IOException {
        for (String host : List.of("evil.example", "127.0.0.1.evil.example:8080", "127.0.0.2")) {
            String request = "GET /api/v1/mdevs HTTP/1.0\r\nHost: %s\r\n\r\n".formatted(host);
            try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port())) {
                socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
                assertThat(
                                new String(
                                        socket.getInputStream().readAllBytes(),
                                        StandardCharsets.UTF_8))
                        .startsWith("HTTP/1.1 403")
                        .contains("mdev.access.hosts");
            }
        }
    }

    @Test
    void aPageOfAnotherServerChangesNothing() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        Map<String, String> page = Map.of("Origin", "http://evil.example");
        for (String call : List.of("revoke", "reset", "stop")) {
            Answer refused =
                    api.send("POST", "/api/v1/mdevs/%s/%s".formatted(mdev, call), "", page);
            refused.requireProblem(403, "denied");
            assertThat(refused.at("/detail")).contains("origin=http://evil.example");
        }
        api.send("DELETE", "/api/v1/mdevs/" + mdev, "", page).requireProblem(403, "denied");
        api.send("GET", "/api/v1/mdevs/" + mdev, "", page).requireStatus(200);

        Map<String, String> own = Map.of("Origin", "http://127.0.0.1:" + port());
        api.send("DELETE", "/api/v1/mdevs/" + mdev, "", own).requireStatus(204);
    }

    @Test
    void deeplyNestedJsonIsRefused() {
        api.post("/api/v1/mdevs", "[".repeat(100_000)).requireProblem(400, "malformed");
    }

    @Test
    void aRequestLineThatIsNoneGetsAProblemToo() throws IOException {
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port())) {
            socket.getOutputStream()
                    .write("GET /a{b HTTP/1.1\r\nHost: x\r\n\r\n".getBytes(StandardCharsets.UTF_8));
            socket.shutdownOutput();
            String answer =
                    new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertThat(answer)
                    .startsWith("HTTP/1.1 400")
                    .contains("application/problem+json")
                    .contains("urn:mdev:problem:malformed")
                    .doesNotContain("Tomcat");
        }
    }

    @Test
    void aProcessorThatIsNotThereIsNotFound() {
        api.createMachine("vm1");
        api.post(
                        "/api/v1/machines/vm1/vcpus/2/programs",
                        "{\"steps\":[{\"op\":\"read\",\"at\":{\"gpa\":0}}]}")
                .requireProblem(404, "not-found");
        api.post("/api/v1/machines/vm1/vcpus/x/interrupt", "").requireProblem(400, "malformed");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{\"region\":-1}                    | 422 | /region",
                "{\"region\":1}                     | 422 |        ",
                "{\"region\":0,\"pages\":0}         | 422 | /pages",
                "{\"region\":0,\"firstPage\":-1}    | 422 | /firstPage",
                "{\"firstPage\":1}                  | 422 | /region",
                "{\"region\":\"0\"}                 | 400 | /region",
            })
    void aRevocationThatCannotBe(String body, int status, String pointer) {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        Answer answer = api.post("/api/v1/mdevs/%s/revoke".formatted(mdev), body);
        answer.requireProblem(status, status == 400 ? "malformed" : "invalid");
        if (pointer != null) {
            answer.requireViolation(pointer, "");
        }
    }

    @Test
    void aRevocationBeyondTheRegionIsNone() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        Answer answer =
                api.post(
                        "/api/v1/mdevs/%s/revoke".formatted(mdev),
                        "{\"region\":0,\"firstPage\":9223372036854775807,\"pages\":9223372036854775807}");
        assertThat(answer.requireStatus(200).numberAt("/residentAfter")).isZero();
    }
}
