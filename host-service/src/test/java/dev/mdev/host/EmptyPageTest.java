package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.boot.test.web.server.LocalServerPort;

/// The page of a host that has nothing: no parent, no device, no event.
@Tag("slow")
@EnabledIf(
        value = "dev.mdev.host.Browser#isHere",
        disabledReason = "no chromium here, or no chromedriver")
@SpringBootTest(
        webEnvironment = SpringBootTest.WebEnvironment.RANDOM_PORT,
        properties = {
            "mdev.engine=software",
            "mdev.access.socket.path=none",
            "mdev.drivers.gpu-sample.count=0"
        })
class EmptyPageTest {
    @LocalServerPort private int port;

    private String url(String place) {
        return "http://127.0.0.1:%d/%s".formatted(port, place);
    }

    @Test
    void itSaysThatThereIsNothingAndOffersNothingThatFails() {
        try (Browser browser = new Browser()) {
            browser.show(1280, 900, false);
            browser.open(url(""));
            browser.awaitText("No parents.");
            browser.awaitText("No devices yet.");
            assertThat(browser.names("button"))
                    .contains("New machine")
                    .doesNotContain("New device");
            assertThat(browser.faultsOfAccessibility()).isEmpty();
            browser.open(url("#/events"));
            browser.awaitText("Nothing has happened yet.");
            browser.open(url("#/machines"));
            browser.awaitText("No machines yet.");
            browser.open("about:blank");
            // No UTF-8.
            browser.open(url("#/devices/%E0%A4%A"));
            browser.awaitName("h1", "No such device");
        }
    }
}
