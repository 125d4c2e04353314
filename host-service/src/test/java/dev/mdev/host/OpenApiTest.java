package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.host.problem.Problem;

import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.test.context.TestPropertySource;
import org.springframework.web.servlet.mvc.method.annotation.RequestMappingHandlerMapping;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.TreeSet;

/// The OpenAPI document is what springdoc makes of the code, completed. `-Dmdev.documents=write`
/// writes it, with the answers of a tour as examples.
@TestPropertySource(
        properties = {
            "springdoc.api-docs.enabled=true",
            "springdoc.use-fqn=true",
            "springdoc.default-produces-media-type=application/json",
            "springdoc.paths-to-match=/api/v1,/api/v1/**",
            "mdev.access.authentication=none"
        })
class OpenApiTest extends HostTest {
    private static final Path FILE = Path.of("src/main/resources/static/docs/openapi.json");
    private static final JsonMapper MAPPER = JsonMapper.shared();

    private final OpenApiTour tour = new OpenApiTour();

    @Autowired
    @Qualifier("requestMappingHandlerMapping")
    private RequestMappingHandlerMapping mapping = new RequestMappingHandlerMapping();

    private ObjectNode generated() {
        JsonNode raw = api.get("/v3/api-docs").requireStatus(200).body();
        ObjectNode document = new OpenApiDocument(raw, mapping.getHandlerMethods()).document();
        for (OpenApiTour.Stop stop : OpenApiTour.stops()) {
            if (!stop.body().isEmpty()) {
                callOf(document, stop)
                        .path("requestBody")
                        .path("content")
                        .forEach(content ->
                                ((ObjectNode) content)
                                        .set("example", MAPPER.readTree(stop.body())));
            }
        }
        return document;
    }

    private static JsonNode callOf(JsonNode document, OpenApiTour.Stop stop) {
        return document.path("paths")
                .path(stop.pattern())
                .path(stop.method().toLowerCase(Locale.ROOT));
    }

    private static ObjectNode contentOf(JsonNode bodyOrResponse) {
        return (ObjectNode) bodyOrResponse.path("content").path(Api.JSON);
    }

    @Test
    void theDocumentIsThatOfTheCode() throws IOException {
        ObjectNode generated = generated();
        if (System.getProperty("mdev.documents", "").equals("write")) {
            take(generated);
            Files.createDirectories(FILE.getParent());
            Files.writeString(FILE, generated.toPrettyString().replace("\r", "") + "\n");
        }
        JsonNode committed = MAPPER.readTree(Files.readString(FILE));
        OpenApiTour.copyExamples(committed, generated);

        assertThat(committed.toPrettyString())
                .as("run this test with -Dmdev.documents=write")
                .isEqualTo(generated.toPrettyString());
    }

    /// Makes the tour, and keeps the answers.
    private void take(ObjectNode document) {
        for (OpenApiTour.Stop stop : OpenApiTour.stops()) {
            Answer answer = visit(stop);
            if (answer.status() < 300 && !answer.body().isMissingNode()) {
                contentOf(callOf(document, stop).path("responses").path("" + answer.status()))
                        .set("example", tour.exampleOf(answer.body()));
            }
        }
    }

    private Answer visit(OpenApiTour.Stop stop) {
        Answer answer =
                switch (stop.method()) {
                    case "GET" -> api.get(stop.realPath());
                    case "PUT" -> api.put(stop.realPath(), stop.body());
                    case "POST" -> api.post(stop.realPath(), stop.body());
                    case "PATCH" -> api.patch(stop.realPath(), stop.body());
                    default -> api.delete(stop.realPath());
                };
        return answer.requireStatus(stop.status());
    }

    @Test
    void eachAnswerOfTheTourIsInTheDocument() throws IOException {
        JsonNode document = MAPPER.readTree(Files.readString(FILE));
        JsonShape shape = new JsonShape(document);
        List<String> wrong = new ArrayList<>();
        for (OpenApiTour.Stop stop : OpenApiTour.stops()) {
            Answer answer = visit(stop);
            JsonNode response =
                    shape.resolve(
                            callOf(document, stop).path("responses").path("" + stop.status()));
            if (response.isMissingNode()) {
                wrong.add("%s: status %d is missing".formatted(stop.call(), stop.status()));
            } else if (answer.status() < 300 && !answer.body().isMissingNode()) {
                shape.misfit(answer.body(), contentOf(response).path("schema"))
                        .ifPresent(it -> wrong.add(stop.call() + ": " + it));
            }
        }
        assertThat(wrong).isEmpty();
    }

    @Test
    void everyExampleFitsAndEveryBodyAndAnswerHasOne() throws IOException {
        JsonNode document = MAPPER.readTree(Files.readString(FILE));
        JsonShape shape = new JsonShape(document);
        List<String> wrong = new ArrayList<>();
        TreeSet<String> without = new TreeSet<>();
        for (var path : document.path("paths").properties()) {
            for (var call : path.getValue().properties()) {
                String name = call.getKey().toUpperCase(Locale.ROOT) + " " + path.getKey();
                List<JsonNode> places = new ArrayList<>();
                places.add(call.getValue().path("requestBody"));
                call.getValue().path("responses").forEach(places::add);
                for (JsonNode place : places) {
                    JsonNode content = place.path("content").path(Api.JSON);
                    if (content.has("example")) {
                        shape.misfit(content.get("example"), content.get("schema"))
                                .ifPresent(it -> wrong.add(name + ": " + it));
                    } else if (!content.isMissingNode()) {
                        without.add(name);
                    }
                }
            }
        }
        assertThat(wrong).isEmpty();
        // They show this machine, take the sample parent away, or need more than a tour has.
        assertThat(without)
                .containsExactly(
                        "DELETE /api/v1/operations/{id}",
                        "DELETE /api/v1/parents/{name}",
                        "GET /api/v1/doctor",
                        "GET /api/v1/operations/{id}",
                        "GET /api/v1/tokens/{id}",
                        "POST /api/v1/drivers",
                        "POST /api/v1/mdevs/{uuid}/adopt",
                        "POST /api/v1/parents/{name}/types/{type}/defragment",
                        "POST /api/v1/session",
                        "PUT /api/v1/machines/{name}/state");
    }

    @Test
    void everyKindOfProblemIsAnExample() throws IOException {
        JsonNode document = MAPPER.readTree(Files.readString(FILE));
        TreeSet<String> examples = new TreeSet<>();
        for (JsonNode response : document.at("/components/responses")) {
            examples.addAll(
                    response.at("/content/application~1problem+json/examples").propertyNames());
        }
        List<String> kinds = new ArrayList<>();
        for (var kind : Problem.values()) {
            kinds.add(kind.code());
        }
        assertThat(examples).containsExactlyInAnyOrderElementsOf(kinds);
    }
}
