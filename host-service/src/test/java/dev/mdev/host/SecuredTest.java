package dev.mdev.host;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.test.context.DynamicPropertyRegistry;
import org.springframework.test.context.DynamicPropertySource;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/// Base of the tests of a running server that wants credentials. They share one, and each leaves it
/// empty.
@SpringBootTest(
        webEnvironment = SpringBootTest.WebEnvironment.RANDOM_PORT,
        properties = {
            "mdev.engine=software",
            "mdev.driver-deadline=60s",
            "mdev.events.heartbeat=200ms",
            "spring.info.build.location=classpath:build/version.properties",
            "spring.info.git.location=classpath:build/commit.properties",
            "mdev.drivers.gpu-sample.count=2",
            "mdev.access.tenants.red.devices=2",
            "mdev.access.tenants.red.machines=1",
            "mdev.access.tenants.red.ram=2MB",
            "mdev.access.tenants.blue.pages.vram=8192"
        })
abstract class SecuredTest {
    /// The token of the administrator's file.
    static final String ADMIN = "the-administrator-of-these-tests-only";

    @LocalServerPort private int port;

    /// A client without credentials.
    protected Api anyone = new Api(0);

    /// The administrator of the host.
    protected As admin = new As(ADMIN);

    @DynamicPropertySource
    static void adminToken(DynamicPropertyRegistry registry) {
        registry.add("mdev.access.admin-token-file", SecuredTest::adminTokenFile);
    }

    private static Path adminTokenFile() {
        try {
            Path file = Files.createTempFile("mdev-test", "token");
            file.toFile().deleteOnExit();
            return Files.writeString(file, ADMIN + "\n");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @BeforeEach
    void connect() {
        anyone.close();
        anyone = new Api(port);
        admin = new As(ADMIN);
    }

    @AfterEach
    void cleanUp() {
        for (var machine : admin.get("/api/v1/machines").body().at("/items")) {
            admin.delete("/api/v1/machines/" + machine.at("/name").asString()).requireStatus(204);
        }
        for (var mdev : admin.get("/api/v1/mdevs").body().at("/items")) {
            admin.delete("/api/v1/mdevs/" + mdev.at("/uuid").asString()).requireStatus(204);
        }
        for (var token : admin.get("/api/v1/tokens").body().at("/items")) {
            admin.delete("/api/v1/tokens/" + token.at("/id").asString()).requireStatus(204);
        }
        anyone.close();
    }

    protected int port() {
        return port;
    }

    /// A client with a new token.
    ///
    /// @param more further members of the request, each after a comma
    protected As token(String role, String more) {
        Answer made =
                admin.post(
                        "/api/v1/tokens",
                        "{\"name\":\"%s\",\"role\":\"%s\"%s}".formatted(role, role, more));
        made.requireStatus(201);
        return new As(made.at("/token"), made.at("/id"));
    }

    protected As tenant(String name, String role) {
        return token(role, ",\"tenant\":\"%s\"".formatted(name));
    }

    /// A client with a token.
    protected final class As {
        final String token;
        final String id;

        As(String token) {
            this(token, "");
        }

        As(String token, String id) {
            this.token = token;
            this.id = id;
        }

        Answer get(String path) {
            return send("GET", path, "");
        }

        Answer post(String path, String json) {
            return send("POST", path, json);
        }

        Answer put(String path, String json) {
            return send("PUT", path, json);
        }

        Answer delete(String path) {
            return send("DELETE", path, "");
        }

        Answer send(String method, String path, String json) {
            return send(method, path, json, Map.of("Content-Type", Api.JSON));
        }

        Answer send(String method, String path, String body, Map<String, String> headers) {
            Map<String, String> all = new HashMap<>(headers);
            if (!token.isEmpty()) {
                all.put("Authorization", "Bearer " + token);
            }
            if (body.isEmpty() && !method.equals("GET")) {
                all.remove("Content-Type", Api.JSON);
            }
            return anyone.send(method, path, body, all);
        }

        String createMdev(String parent) {
            Answer made =
                    post(
                            "/api/v1/mdevs",
                            "{\"parent\":\"%s\",\"type\":\"gpu-sample-16m\"}".formatted(parent));
            made.requireStatus(201);
            return made.at("/uuid");
        }
    }
}
