package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.gate.Deadlines;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.test.context.DynamicPropertyRegistry;
import org.springframework.test.context.DynamicPropertySource;

import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;

import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.TrustManagerFactory;

/// A running server with TLS and client certificates.
@SpringBootTest(
        webEnvironment = SpringBootTest.WebEnvironment.RANDOM_PORT,
        properties = {
            "mdev.engine=software",
            "mdev.access.socket.path=none",
            "mdev.access.certificates.ops.role=operator",
            "server.ssl.bundle=web",
            "server.ssl.client-auth=want",
            "spring.ssl.bundle.watch.file.quiet-period=100ms",
            "spring.ssl.bundle.jks.web.reload-on-update=true",
            "spring.ssl.bundle.jks.web.keystore.password=" + TlsTest.PASSWORD,
            "spring.ssl.bundle.jks.web.truststore.password=" + TlsTest.PASSWORD
        })
@Tag("slow")
class TlsTest {
    static final String PASSWORD = "of-these-tests";

    private static final int HANDSHAKE_FAILED = 0;

    @TempDir private static Path folder = Path.of("");

    @LocalServerPort private int port;

    @DynamicPropertySource
    static void stores(DynamicPropertyRegistry registry) throws Exception {
        makeKey("web", "localhost");
        makeKey("ops", "ops");
        makeKey("nobody", "nobody");
        for (String client : List.of("ops", "nobody")) {
            Path certificate = folder.resolve(client + ".crt");
            keytool(client, "-exportcert", "-alias", client, "-file", certificate.toString());
            keytool(
                    "trusted",
                    "-importcert",
                    "-noprompt",
                    "-alias",
                    client,
                    "-file",
                    certificate.toString());
        }
        makeKey("stranger", "ops");
        registry.add("spring.ssl.bundle.jks.web.keystore.location", () -> "file:" + store("web"));
        registry.add(
                "spring.ssl.bundle.jks.web.truststore.location", () -> "file:" + store("trusted"));
    }

    private static Path store(String name) {
        return folder.resolve(name + ".p12");
    }

    private static void makeKey(String name, String commonName) throws Exception {
        keytool(
                name,
                "-genkeypair",
                "-alias",
                name,
                "-keyalg",
                "EC",
                "-dname",
                "CN=" + commonName,
                "-ext",
                "san=dns:localhost,ip:127.0.0.1");
    }

    private static void keytool(String store, String... arguments) throws Exception {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "keytool").toString());
        command.addAll(List.of(arguments));
        command.addAll(List.of("-keystore", store(store).toString(), "-storepass", PASSWORD));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String printed =
                new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(printed).isZero();
    }

    private static KeyStore load(Path file) throws IOException, GeneralSecurityException {
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (InputStream in = Files.newInputStream(file)) {
            store.load(in, PASSWORD.toCharArray());
        }
        return store;
    }

    /// The answer to a client that trusts a server's store.
    ///
    /// @param client the store with the client's certificate, if it has one
    private HttpResponse<String> session(Path server, @Nullable Path client) throws Exception {
        TrustManagerFactory trust =
                TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(load(server));
        KeyManagerFactory keys =
                KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(client == null ? null : load(client), PASSWORD.toCharArray());
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(client == null ? null : keys.getKeyManagers(), trust.getTrustManagers(), null);
        try (HttpClient http = HttpClient.newBuilder().sslContext(context).build()) {
            return http.send(
                    HttpRequest.newBuilder(
                                    URI.create(
                                            "https://localhost:%d/api/v1/session".formatted(port)))
                            .timeout(Deadlines.HANG)
                            .build(),
                    HttpResponse.BodyHandlers.ofString());
        }
    }

    @Test
    void aClientCertificateHasTheRoleOfItsName() throws Exception {
        HttpResponse<String> answer = session(store("web"), store("ops"));
        assertThat(answer.statusCode()).isEqualTo(200);
        assertThat(answer.body())
                .contains("\"name\":\"ops\"", "\"role\":\"operator\"", "\"means\":\"certificate\"");
        assertThat(session(store("web"), null).statusCode()).isEqualTo(401);
        assertThat(session(store("web"), store("nobody")).statusCode()).isEqualTo(401);
    }

    @Test
    void aCertificateThatNobodyTrustsIsNotThatOfItsName() throws Exception {
        assertThat(statusOf(store("web"), store("stranger"))).isIn(401, HANDSHAKE_FAILED);
    }

    private int statusOf(Path server, Path client) throws Exception {
        try {
            return session(server, client).statusCode();
        } catch (IOException e) {
            return HANDSHAKE_FAILED;
        }
    }

    @Test
    void aNewCertificateOfTheServerIsUsedWithoutARestart() throws Exception {
        Path old = folder.resolve("old.p12");
        Files.copy(store("web"), old);
        makeKey("next", "localhost");
        assertThat(session(old, null).statusCode()).isEqualTo(401);

        Files.move(
                store("next"),
                store("web"),
                StandardCopyOption.REPLACE_EXISTING,
                StandardCopyOption.ATOMIC_MOVE);

        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        while (!isServedWith(store("web")) && System.nanoTime() < end) {
            LockSupport.parkNanos(50_000_000);
        }
        assertThat(session(store("web"), null).statusCode()).isEqualTo(401);
        assertThatThrownBy(() -> session(old, null)).isInstanceOf(SSLException.class);
    }

    private boolean isServedWith(Path server) throws Exception {
        try {
            return session(server, null).statusCode() == 401;
        } catch (SSLException e) {
            return false;
        }
    }
}
