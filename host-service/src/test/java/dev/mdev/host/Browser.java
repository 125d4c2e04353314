package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.nio.file.StandardCopyOption.REPLACE_EXISTING;

import dev.mdev.gate.Deadlines;

import org.jspecify.annotations.Nullable;
import org.openqa.selenium.By;
import org.openqa.selenium.JavascriptException;
import org.openqa.selenium.Keys;
import org.openqa.selenium.OutputType;
import org.openqa.selenium.StaleElementReferenceException;
import org.openqa.selenium.TimeoutException;
import org.openqa.selenium.WebElement;
import org.openqa.selenium.chrome.ChromeDriver;
import org.openqa.selenium.chrome.ChromeDriverService;
import org.openqa.selenium.chrome.ChromeOptions;
import org.openqa.selenium.interactions.Actions;
import org.openqa.selenium.logging.LogEntry;
import org.openqa.selenium.logging.LogType;
import org.openqa.selenium.logging.LoggingPreferences;
import org.openqa.selenium.support.ui.WebDriverWait;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.BooleanSupplier;
import java.util.logging.Level;

/// A Chromium without a window, used by keyboard. It finds elements by the names that a screen
/// reader says.
final class Browser implements AutoCloseable {
    private static final Path PROGRAM = Path.of("/usr/bin/chromium");
    private static final Path DRIVER = Path.of("/usr/bin/chromedriver");

    /// More elements than a page of these tests has in its tab order.
    private static final int MOST_TABS = 1000;

    private final ChromeDriver driver;

    Browser() {
        ChromeOptions options = new ChromeOptions();
        options.setBinary(PROGRAM.toFile());
        options.addArguments(
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                "--lang=en",
                "--window-size=1280,900");
        LoggingPreferences logs = new LoggingPreferences();
        logs.enable(LogType.BROWSER, Level.ALL);
        options.setCapability("goog:loggingPrefs", logs);
        ChromeDriverService service =
                new ChromeDriverService.Builder()
                        .usingDriverExecutable(DRIVER.toFile())
                        .usingAnyFreePort()
                        .withTimeout(Deadlines.HANG)
                        .build();
        driver = new ChromeDriver(service, options);
        driver.manage().timeouts().scriptTimeout(Deadlines.HANG).pageLoadTimeout(Deadlines.HANG);
    }

    static boolean isHere() {
        return Files.isExecutable(PROGRAM) && Files.isExecutable(DRIVER);
    }

    void open(String url) {
        driver.get(url);
    }

    /// Nobody is signed in any more.
    void forgetSession() {
        driver.manage().deleteAllCookies();
    }

    /// A size of the screen in CSS pixels, and what the system prefers.
    void show(int width, int height, boolean dark) {
        driver.executeCdpCommand(
                "Emulation.setDeviceMetricsOverride",
                Map.of(
                        "width",
                        width,
                        "height",
                        height,
                        "deviceScaleFactor",
                        1,
                        "mobile",
                        width < 600));
        driver.executeCdpCommand(
                "Emulation.setEmulatedMedia",
                Map.of(
                        "features",
                        List.of(
                                Map.of(
                                        "name",
                                        "prefers-color-scheme",
                                        "value",
                                        dark ? "dark" : "light"))));
    }

    void type(CharSequence... keys) {
        new Actions(driver).sendKeys(keys).perform();
    }

    /// Presses the tab key until the focus is on the element with this name.
    void tabTo(String name) {
        await(() -> names("a, button, input, select, [tabindex]").contains(name), name);
        StringBuilder seen = new StringBuilder();
        for (int i = 0; i < MOST_TABS; i++) {
            String focused = focused();
            if (focused.equals(name)) {
                return;
            }
            seen.append(focused).append("; ");
            type(Keys.TAB);
        }
        throw new AssertionError("the tab key does not reach: " + name + "; but " + seen);
    }

    /// The name of the element with the focus; empty if the page has just taken it away.
    private String focused() {
        try {
            return String.valueOf(driver.switchTo().activeElement().getAccessibleName());
        } catch (StaleElementReferenceException _) {
            return "";
        }
    }

    void press(String name) {
        tabTo(name);
        type(Keys.ENTER);
    }

    /// The names of all elements of a kind that are shown, without those that vanished meanwhile.
    List<String> names(String selector) {
        try {
            return driver.findElements(By.cssSelector(selector)).stream()
                    .filter(WebElement::isDisplayed)
                    .map(element -> String.valueOf(element.getAccessibleName()))
                    .toList();
        } catch (StaleElementReferenceException _) {
            // The page has drawn itself again.
            return names(selector);
        }
    }

    String text() {
        return String.valueOf(script("return document.body.innerText"));
    }

    void awaitText(String text) {
        await(() -> text().contains(text), text);
    }

    void awaitNoText(String text) {
        await(() -> !text().contains(text), "no " + text);
    }

    /// Waits for an element of a kind with this name.
    void awaitName(String selector, String name) {
        await(() -> names(selector).contains(name), name);
    }

    void await(BooleanSupplier condition, String what) {
        try {
            new WebDriverWait(driver, Deadlines.HANG)
                    .ignoring(StaleElementReferenceException.class)
                    .until(_ -> condition.getAsBoolean());
        } catch (TimeoutException e) {
            throw new AssertionError(
                    "not seen: %s; but %s; log %s".formatted(what, text(), log()), e);
        }
    }

    @Nullable Object script(String script) {
        return driver.executeScript(script);
    }

    /// The serious faults that axe finds on the page.
    List<String> faultsOfAccessibility() {
        driver.executeScript(axe());
        Object found =
                driver.executeAsyncScript(
                        """
                        const done = arguments[arguments.length - 1];
                        axe.run(document).then(
                            (result) => done(result.violations
                                .filter((it) => it.impact === "serious" || it.impact === "critical")
                                .map((it) => it.id + ": " + it.help + " "
                                    + it.nodes.map((node) => node.html + " " + node.failureSummary).join(" "))),
                            (error) => done([String(error)]));
                        """);
        if (found instanceof List<?> faults) {
            return faults.stream().map(String::valueOf).toList();
        }
        throw new JavascriptException("axe answers " + found);
    }

    private static String axe() {
        try (InputStream script = Browser.class.getResourceAsStream("/axe.min.js")) {
            return new String(Objects.requireNonNull(script).readAllBytes(), UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /// What the browser complains about since the last call: failed requests, broken rules of the
    /// page's policy, errors of scripts.
    List<String> log() {
        return driver.manage().logs().get(LogType.BROWSER).getAll().stream()
                .filter(entry -> entry.getLevel().intValue() >= Level.SEVERE.intValue())
                .map(LogEntry::getMessage)
                .toList();
    }

    void screenshot(Path file) throws IOException {
        File made = driver.getScreenshotAs(OutputType.FILE);
        Files.createDirectories(file.toAbsolutePath().getParent());
        Files.move(made.toPath(), file, REPLACE_EXISTING);
        assertThat(file).isNotEmptyFile();
    }

    @Override
    public void close() {
        driver.quit();
    }
}
