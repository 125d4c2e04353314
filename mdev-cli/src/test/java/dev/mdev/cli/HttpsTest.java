package dev.mdev.cli;

import static org.assertj.core.api.Assertions.assertThat;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;

/// A service with a certificate of its own.
@Tag("slow")
class HttpsTest {
    private static final String PASSWORD = "of-these-tests";
    private static final String LIST = "{\"items\":[{\"name\":\"vm1\"}]}";

    @TempDir private static Path folder = Path.of("");

    @SuppressWarnings("NullAway.Init")
    private static HttpsServer server;

    @BeforeAll
    static void start() throws Exception {
        keytool(
                "-genkeypair",
                "-keyalg",
                "EC",
                "-dname",
                "CN=localhost",
                "-ext",
                "san=dns:localhost");
        keytool("-exportcert", "-rfc", "-file", certificate().toString());
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (InputStream in = Files.newInputStream(folder.resolve("store.p12"))) {
            store.load(in, PASSWORD.toCharArray());
        }
        KeyManagerFactory keys =
                KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(store, PASSWORD.toCharArray());
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), null, null);
        server = HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setHttpsConfigurator(new HttpsConfigurator(context));
        server.createContext(
                "/api/v1/machines",
                exchange -> {
                    byte[] body = LIST.getBytes(UTF_8);
                    exchange.getResponseHeaders().set("Content-Type", Stub.JSON);
                    exchange.sendResponseHeaders(200, body.length);
                    exchange.getResponseBody().write(body);
                    exchange.close();
                });
        server.start();
    }

    @AfterAll
    static void stop() {
        server.stop(0);
    }

    private static Path certificate() {
        return folder.resolve("service.pem");
    }

    private static void keytool(String... arguments) throws Exception {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "keytool").toString());
        command.addAll(List.of(arguments));
        command.addAll(
                List.of(
                        "-alias",
                        "service",
                        "-keystore",
                        folder.resolve("store.p12").toString(),
                        "-storepass",
                        PASSWORD));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String printed = new String(process.getInputStream().readAllBytes(), UTF_8);
        assertThat(process.waitFor()).as(printed).isZero();
    }

    private static Run machines(String host, String settings) throws IOException {
        Path file = Files.createDirectories(folder.resolve("mdev")).resolve("config");
        String url = "https://%s:%d".formatted(host, server.getAddress().getPort());
        Files.writeString(file, "url = %s\n%s\n".formatted(url, settings));
        return Run.of(
                Map.of("XDG_CONFIG_HOME", folder.toString()),
                false,
                "",
                List.of("machines", "-o", "name"));
    }

    @Test
    void itsCertificateIsTrustedIfTheProfileSaysSo() throws IOException {
        assertThat(machines("localhost", "ca-file = " + certificate()).requireOk().out())
                .isEqualTo("vm1\n");
        machines("localhost", "").requireFailure(6, "no TLS with https://localhost", "ca-file");
        // The certificate is for another name.
        machines("127.0.0.1", "ca-file = " + certificate())
                .requireFailure(6, "no TLS with https://127.0.0.1");
    }

    @Test
    void aServiceWithoutTlsIsNamedAsSuch() throws IOException {
        try (ServerSocket plain = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            Thread.ofVirtual().start(() -> answerWithoutTls(plain));
            Run.of("https://127.0.0.1:" + plain.getLocalPort(), "list")
                    .requireFailure(6, "no TLS with https://");
        }
    }

    private static void answerWithoutTls(ServerSocket server) {
        try (Socket client = server.accept()) {
            client.getOutputStream().write("HTTP/1.1 400 x\r\n\r\n".getBytes(UTF_8));
            // Until the client has read it.
            client.getInputStream().readAllBytes();
        } catch (IOException e) {
            return;
        }
    }

    @Test
    void aFileWithoutCertificatesIsAWrongArgument() throws IOException {
        Path empty = Files.writeString(folder.resolve("empty.pem"), "");
        Path text = Files.writeString(folder.resolve("text.pem"), "no certificate\n");
        for (Path file : List.of(empty, text)) {
            machines("localhost", "ca-file = " + file)
                    .requireFailure(2, "ca-file=" + file, "wanted=certificates as PEM");
        }
        machines("localhost", "ca-file = " + folder.resolve("none"))
                .requireFailure(2, "cannot read ca-file=");
    }
}
