package dev.mdev.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;

import dev.mdev.cli.terminal.Terminal;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/// Runs verbs against a small service of its own, and prints nothing. `bin/mdev` runs it once,
/// while the Java runtime records which classes a start needs, and makes a cache of them.
final class Rehearsal {
    private static final String UUID = "11111111-1111-4111-8111-111111111111";
    private static final String MDEV =
            "{\"uuid\":\"%s\",\"parent\":\"p\",\"type\":\"t\",\"state\":{\"defined\":true,"
                            .formatted(UUID)
                    + "\"active\":true,\"activity\":\"active\"},\"faults\":1,\"residentPages\":1,"
                    + "\"regions\":[{\"index\":0,\"sizeBytes\":4096,\"areas\":[{\"kind\":\"lazy\"}]}]}";
    private static final String ITEMS =
            "{\"items\":["
                    + MDEV
                    + ",{\"name\":\"m\",\"id\":1,\"kind\":\"k\",\"pools\":[{\"pool\":\"v\"}],"
                    + "\"types\":[{\"id\":\"t\",\"demands\":[{\"pool\":\"v\",\"npages\":1}]}]}],"
                    + "\"lastId\":1}";
    private static final String PROBLEM =
            "{\"code\":\"not-found\",\"detail\":\"none\",\"violations\":[{\"detail\":\"none\"}]}";

    private Rehearsal() {}

    static void main() throws IOException {
        Locale.setDefault(Locale.ROOT);
        HttpServer service =
                HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        service.createContext("/", Rehearsal::answer);
        service.start();
        try {
            String url = "http://127.0.0.1:" + service.getAddress().getPort();
            List.of(
                            List.of("list"),
                            List.of("list", "-o", "json"),
                            List.of("list", "-o", "yaml"),
                            List.of("parents"),
                            List.of("types"),
                            List.of("machines"),
                            List.of("events"),
                            List.of("show", UUID),
                            List.of("faults", UUID),
                            List.of("create", "p", "t", "--uuid", UUID),
                            List.of("attach", "m", UUID),
                            List.of("delete", UUID, "--grace", "1s"),
                            List.of("show", "nothing"),
                            List.of("--help"),
                            List.of("definitions"))
                    .forEach(verb -> run(url, verb));
        } finally {
            service.stop(0);
        }
    }

    private static void run(String url, List<String> verb) {
        Terminal nowhere =
                new Terminal(
                        new ByteArrayInputStream(new byte[0]),
                        OutputStream.nullOutputStream(),
                        OutputStream.nullOutputStream(),
                        false);
        Mdev.run(verb, Map.of("MDEV_URL", url), nowhere);
    }

    private static void answer(HttpExchange exchange) throws IOException {
        String path = exchange.getRequestURI().getPath();
        boolean fails = path.endsWith("definitions");
        String text = fails ? PROBLEM : path.endsWith(UUID) ? MDEV : ITEMS;
        byte[] body = text.getBytes(UTF_8);
        exchange.getResponseHeaders()
                .set("Content-Type", fails ? "application/problem+json" : "application/json");
        exchange.sendResponseHeaders(fails ? 404 : 200, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }
}
