package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.api.io.TempDir;
import org.openqa.selenium.Keys;

import java.nio.file.Path;
import java.util.List;

/// Signing in to the page, and what each role finds there, by keyboard only.
@Tag("slow")
@EnabledIf(
        value = "dev.mdev.host.Browser#isHere",
        disabledReason = "no chromium here, or no chromedriver")
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class SignInTest extends SecuredTest {
    private static final String UUID = "22222222-2222-4222-8222-222222222222";
    private static final List<String> PLACES =
            List.of("#/", "#/devices/" + UUID, "#/machines", "#/events", "#/tokens");

    private final Browser browser = new Browser();

    @BeforeEach
    void begin() {
        browser.show(1280, 900, false);
        browser.open(url("favicon.svg"));
        browser.forgetSession();
        browser.open(url(""));
        browser.awaitName("h1", "Sign in");
    }

    @AfterAll
    void stop() {
        browser.close();
    }

    private String url(String place) {
        return "http://127.0.0.1:%d/%s".formatted(port(), place);
    }

    private void signIn(As who) {
        browser.tabTo("Token");
        browser.type(who.token, Keys.ENTER);
        browser.awaitName("h1", "Overview");
    }

    private void useADevice() {
        admin.put("/api/v1/mdevs/" + UUID, "{\"parent\":\"gpu0\",\"type\":\"gpu-sample-16m\"}")
                .requireStatus(201);
        admin.post("/api/v1/machines", "{\"name\":\"vm1\",\"ramMib\":1}").requireStatus(201);
        admin.put("/api/v1/machines/vm1/devices/" + UUID, "").requireStatus(201);
    }

    @Test
    void aWrongTokenIsRefusedInWords() {
        browser.tabTo("Token");
        browser.type("not-a-token-of-this-service-at-all", Keys.ENTER);
        browser.awaitText("The service does not know this token.");
        assertThat(browser.faultsOfAccessibility()).isEmpty();
    }

    /// All buttons that a viewer has change what the viewer sees, and nothing else.
    @Test
    void aViewerSeesAllAndHasNoButtonThatFails() {
        useADevice();
        signIn(token("viewer", ""));
        for (String place : PLACES) {
            browser.open(url(place));
            browser.awaitText("22222222");
            assertThat(browser.names("button")).as(place).noneMatch(SignInTest::changes);
            assertThat(browser.names("nav a")).as(place).doesNotContain("Tokens");
            assertThat(browser.faultsOfAccessibility()).as(place).isEmpty();
        }
        browser.press("Sign out");
        browser.awaitName("h1", "Sign in");
    }

    private static boolean changes(String button) {
        return List.of("New", "Create", "Delete", "Detach", "Attach", "Revoke", "Stop", "Make")
                .stream()
                .anyMatch(button::startsWith);
    }

    @Test
    void anOperatorUsesDevicesAndManagesNoTokens() {
        useADevice();
        signIn(token("operator", ""));
        browser.awaitText("22222222");
        assertThat(browser.names("nav a")).contains("Machines").doesNotContain("Tokens");
        browser.open(url("#/machines"));
        browser.press("Detach " + UUID);
        browser.awaitText("The guest loses the device at once.");
        browser.press("Detach");
        browser.awaitText("No devices. Attach one from its page.");
        assertThat(admin.get("/api/v1/mdevs/" + UUID).requireStatus(200).at("/machine")).isEmpty();
    }

    @Test
    void anAdministratorMakesATokenSeesItOnceAndRevokesIt() {
        signIn(admin);
        browser.press("Tokens");
        browser.awaitText("No tokens yet.");
        browser.press("New token");
        browser.tabTo("Name");
        browser.type("dashboard");
        browser.tabTo("Tenant");
        browser.type("red");
        browser.tabTo("Machines");
        browser.type("vm1, vm2");
        browser.press("Make");
        browser.awaitText("Nobody can show it again.");
        // The list is there, and the dialog is closed.
        browser.awaitText("Made the token dashboard.");

        String secret =
                String.valueOf(browser.script("return document.querySelector('pre').textContent"));
        As made = new As(secret);
        Answer session = made.get("/api/v1/session").requireStatus(200);
        assertThat(session.at("/name")).isEqualTo("dashboard");
        assertThat(session.at("/role")).isEqualTo("viewer");
        assertThat(session.at("/tenant")).isEqualTo("red");
        assertThat(browser.text()).contains("tenant red, machine vm1, machine vm2", "without end");
        assertThat(browser.faultsOfAccessibility()).isEmpty();

        browser.press("Put it away");
        browser.await(() -> !browser.text().contains(secret), "nothing secret");
        browser.press("Revoke token dashboard");
        browser.awaitText("Devices and machines stay.");
        browser.press("Revoke");
        browser.awaitText("No tokens yet.");
        made.get("/api/v1/session").requireProblem(401, "unauthenticated");
    }

    @Test
    void aTokenThatIsRevokedEndsTheSessionOfItsPage() {
        As viewer = token("viewer", "");
        signIn(viewer);
        admin.delete("/api/v1/tokens/" + viewer.id).requireStatus(204);
        browser.awaitName("h1", "Sign in");
        browser.awaitText("The session has ended. Sign in again.");
    }

    /// Without a token, the page would be the first caller that the service refuses.
    @Test
    void theFirstTokenClosesTheServiceAndThePageGoesOnWithIt(@TempDir Path folder)
            throws Exception {
        try (ServiceProcess service = ServiceProcess.start(folder)) {
            String page = "http://127.0.0.1:%d/#/tokens".formatted(service.port());
            browser.open(page);
            browser.press("New token");
            browser.awaitText("the service refuses callers without a token");
            browser.tabTo("Name");
            browser.type("me");
            browser.press("Make");
            browser.awaitText("Nobody can show it again.");
            browser.awaitText("Made the token me.");

            service.api().get("/api/v1/mdevs").requireProblem(401, "unauthenticated");
            browser.press("Put it away");
            browser.awaitText("me, admin");
            browser.press("Overview");
            browser.awaitText("New device");
        }
    }
}
