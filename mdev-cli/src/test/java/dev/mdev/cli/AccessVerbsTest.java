package dev.mdev.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.cli.client.Endpoint;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// Tokens, the audit log and the Unix socket of a real service.
@Tag("slow")
@EnabledOnOs(value = OS.LINUX, disabledReason = "it uses a Unix socket with a mode")
class AccessVerbsTest {
    @TempDir private static Path folder = Path.of("");

    @SuppressWarnings("NullAway.Init")
    private static ServiceProcess service;

    @BeforeAll
    static void start() throws Exception {
        service = ServiceProcess.start(folder, "--mdev.access.authentication=required");
    }

    @AfterAll
    static void stop() throws Exception {
        service.close();
    }

    private static Path socket() {
        return folder.resolve("sockets/mdev.sock");
    }

    private static Run overSocket(String... arguments) {
        return Run.of(Map.of("MDEV_SOCKET", socket().toString()), false, "", List.of(arguments));
    }

    private static Run withToken(String token, String... arguments) {
        Map<String, String> environment = new HashMap<>();
        environment.put("MDEV_URL", service.url());
        environment.put("MDEV_TOKEN", token);
        return Run.of(environment, false, "", List.of(arguments));
    }

    @Test
    void withoutAnySettingTheSocketOfThisMachineIsUsed() {
        assertThat(overSocket("parents", "-o", "name").requireOk().out()).isEqualTo("gpu0\n");
        Run.of(service.url(), "parents").requireFailure(5, "unauthenticated", "MDEV_TOKEN");
    }

    @Test
    void aTokenIsMadeListedUsedAndRevoked() {
        String token =
                overSocket(
                                "tokens",
                                "create",
                                "ci",
                                "--role",
                                "viewer",
                                "--parent",
                                "gpu0",
                                "--for",
                                "1h")
                        .requireOk()
                        .out()
                        .strip();
        assertThat(token).matches("mdev_[0-9a-f]{16}_[A-Za-z0-9_-]{43}");
        String id = token.substring(5, 21);
        assertThat(overSocket("tokens").requireOk().out()).contains(id, "viewer", "gpu0");
        withToken(token, "list").requireOk();
        withToken(token, "create", "gpu0", "gpu-sample-16m").requireFailure(5, "denied");

        overSocket("tokens", "revoke", id).requireOk();

        withToken(token, "list").requireFailure(5, "unauthenticated");
        overSocket("tokens", "revoke", id).requireFailure(3, "not-found");
    }

    @Test
    void bytesGoBothWaysOverTheSocket() throws Exception {
        String uuid = overSocket("create", "gpu0", "gpu-sample-16m").requireOk().out().strip();
        Path first = folder.resolve("first.state");
        Path second = folder.resolve("second.state");
        overSocket("state", "save", uuid, first.toString()).requireOk();
        overSocket("state", "restore", uuid, first.toString()).requireOk();
        overSocket("state", "save", uuid, second.toString()).requireOk();

        assertThat(Files.size(first)).isPositive();
        assertThat(Files.size(second)).isEqualTo(Files.size(first));
        overSocket("delete", uuid).requireOk();
    }

    @Test
    void theAuditLogIsListedAndVerified() {
        overSocket("machines", "create", "audited").requireOk();
        overSocket("machines", "delete", "audited").requireOk();
        assertThat(overSocket("audit").requireOk().out())
                .contains("DELETE", "/api/v1/machines/audited", "204");
        String head = overSocket("audit", "verify").requireOk().out().strip();
        overSocket("audit", "verify", "--head", head).requireOk();
        String forged = head.substring(0, head.length() - 1) + (head.endsWith("0") ? "1" : "0");
        overSocket("audit", "verify", "--head", forged).requireFailure(1, "written anew");
        overSocket("audit", "verify", "--head", "x").requireFailure(2, "NUMBER:HASH");
    }

    @Test
    void aTokenFileThatOthersCanReadIsNotUsed() throws Exception {
        Path config = Files.createDirectories(folder.resolve("mdev")).resolve("config");
        Path secret = folder.resolve("secret");
        Files.writeString(secret, "mdev_x");
        Files.setPosixFilePermissions(secret, PosixFilePermissions.fromString("rw-r--r--"));
        Files.writeString(config, "token-file = " + secret);
        Map<String, String> environment =
                Map.of("MDEV_URL", service.url(), "XDG_CONFIG_HOME", folder.toString());
        Run.of(environment, false, "", List.of("list")).requireFailure(2, "chmod 600");
        Files.delete(config);
    }

    @Test
    void aTokenIsNotSentInTheClearToAnotherMachine() {
        Run.of(
                        Map.of("MDEV_URL", "http://lab.example:8080", "MDEV_TOKEN", "x"),
                        false,
                        "",
                        List.of("list"))
                .requireFailure(2, "https");
        assertThat(Endpoint.urlOf(Path.of("/run/x"))).isEqualTo("unix:/run/x");
    }
}
