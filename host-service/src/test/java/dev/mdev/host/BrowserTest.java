package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.condition.EnabledIf;
import org.openqa.selenium.Keys;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/// The page in a browser, by keyboard only.
///
/// With `-Dmdev.test.images=FOLDER`, it also makes the pictures of the documents.
@Tag("slow")
@EnabledIf(
        value = "dev.mdev.host.Browser#isHere",
        disabledReason = "no chromium here, or no chromedriver")
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class BrowserTest extends HostTest {
    private static final String UUID = "11111111-1111-4111-8111-111111111111";
    private static final String DEVICE = "Device " + UUID;
    private static final String SCREEN = "What 11111111 shows";

    private final Browser browser = new Browser();

    @BeforeEach
    void begin() {
        browser.show(1280, 900, false);
        browser.open(url(""));
        browser.awaitName("h1", "Overview");
        browser.log();
    }

    @AfterAll
    void stop() {
        browser.close();
    }

    private String url(String place) {
        return "http://127.0.0.1:%d/%s".formatted(port(), place);
    }

    @Test
    void anOperatorCreatesUsesRevokesAndDeletesADevice() {
        browser.press("Create a device of gpu-sample-16m");
        browser.tabTo("UUID");
        browser.type(UUID, Keys.ENTER);
        browser.awaitName("a", DEVICE);
        browser.press("New machine");
        browser.tabTo("Name");
        browser.type("vm1", Keys.ENTER);
        browser.awaitText("Created vm1.");
        browser.press(DEVICE);
        browser.press("Attach");
        browser.awaitText("each page is mapped at its first access");
        browser.press("Attach");
        browser.awaitText("Detach");

        draws(0);
        browser.awaitName("canvas", "BAR 0, vram: 64 of 4,096 pages mapped");
        browser.awaitName("canvas", SCREEN);
        Object before = pixels();
        draws(0x33_66_99);
        browser.await(() -> !pixels().equals(before), "another picture");
        assertThat(browser.text()).contains("first touch");

        browser.press("Revoke");
        browser.awaitText("The guest goes on");
        browser.press("Revoke");
        browser.awaitName("canvas", "BAR 0, vram: 0 of 4,096 pages mapped");
        browser.press("Delete");
        browser.awaitText("vm1 has it");
        browser.press("Delete");
        browser.awaitName("h1", "Overview");
        browser.awaitText("No devices yet.");
        assertThat(api.get("/api/v1/mdevs").body().at("/items").size()).isZero();
        assertThat(browser.log())
                .allMatch(line ->
                        line.contains("/picture")
                                || line.contains("/events")
                                || isAboutADeviceThatEnds(line));
    }

    /// While a device ends, the page may just be asking about it.
    private static boolean isAboutADeviceThatEnds(String line) {
        return line.matches(".*/api/v1/mdevs/[0-9a-f-]{36}/.* with a status of (404|409) .*");
    }

    @Test
    void theInterfaceIsDescribed() {
        browser.open(url("docs#createMdev"));
        browser.awaitName("h1", "REST interface");
        browser.awaitText("create a device");
        browser.awaitText("\"type\": \"gpu-sample-16m\"");
        assertThat(browser.text()).doesNotContain("undefined", "[object");
        assertThat(browser.log()).isEmpty();
    }

    @Test
    void anOperatorMakesAMachineWithSystemManagementMode() {
        browser.open(url("#/machines"));
        browser.press("New machine");
        browser.tabTo("Name");
        browser.type("managed");
        browser.tabTo("System management mode");
        browser.type(Keys.ARROW_DOWN);
        browser.press("Create");

        browser.awaitText("system management mode (address-space)");
        assertThat(
                        api.get("/api/v1/machines/managed")
                                .requireStatus(200)
                                .body()
                                .path("smm")
                                .asString())
                .isEqualTo("address-space");
    }

    /// A guest sets a mode of 256x256 pixels and stores into each of them.
    private void draws(int colour) {
        String program =
                """
                {"steps":[
                {"op":"write","at":{"mdev":"%1$s","bar":2,"offset":"0x506"},"width":2,"value":32},
                {"op":"write","at":{"mdev":"%1$s","bar":2,"offset":"0x502"},"width":2,"count":2,"value":256},
                {"op":"write","at":{"mdev":"%1$s","bar":2,"offset":"0x508"},"width":2,"value":"0x41"},
                {"op":"write","at":{"mdev":"%1$s","bar":0},"width":4,"count":65536,"value":%2$d,"step":256}],
                "deadlineMillis":600000}\
                """
                        .formatted(UUID, colour);
        api.post("/api/v1/machines/vm1/vcpus/0/programs", program).requireStatus(200);
    }

    private Object pixels() {
        Object found =
                browser.script(
                        """
                        const canvas = document.querySelector("canvas.screen");
                        return canvas ? [...canvas.getContext("2d").getImageData(0, 0, 9, 9).data].join() : "";
                        """);
        return String.valueOf(found);
    }

    @Test
    void peopleWithAScreenReaderFindEverythingByDayAndByNight() {
        inUse();
        draws(0);
        for (boolean dark : List.of(false, true)) {
            browser.show(1280, 900, dark);
            for (String place : List.of("#/", "#/devices/" + UUID, "#/machines", "#/events")) {
                browser.open(url(place));
                browser.awaitText("11111111");
                hasNoFaults(place + ", dark=" + dark);
            }
            browser.open(url("#/machines"));
            browser.press("New machine");
            browser.awaitText("Who runs it");
            hasNoFaults("dialog, dark=" + dark);
            browser.type(Keys.ESCAPE);
        }
    }

    private void hasNoFaults(String where) {
        assertThat(browser.faultsOfAccessibility()).as(where).isEmpty();
    }

    @Test
    void itFitsAPhone() throws IOException {
        inUse();
        draws(0);
        browser.show(390, 844, false);
        for (String place : List.of("#/", "#/devices/" + UUID, "#/machines", "#/events")) {
            browser.open(url(place));
            browser.awaitText("11111111");
            assertThat(browser.script("return document.documentElement.scrollWidth <= innerWidth"))
                    .as("%s is not wider than the screen", place)
                    .isEqualTo(true);
        }
        String images = System.getProperty("mdev.test.images", "");
        if (!images.isEmpty()) {
            new PageImages(browser, this::url, api, UUID).make(Path.of(images));
        }
    }

    /// A device in a machine.
    private void inUse() {
        api.put("/api/v1/mdevs/" + UUID, "{\"parent\":\"gpu0\",\"type\":\"gpu-sample-16m\"}")
                .requireStatus(201);
        api.post("/api/v1/machines", "{\"name\":\"vm1\",\"ramMib\":1,\"vcpus\":2}")
                .requireStatus(201);
        api.put("/api/v1/machines/vm1/devices/" + UUID, "").requireStatus(201);
    }
}
