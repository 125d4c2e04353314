package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/// What the rules of Prometheus and the dashboards ask for is what the service has.
class AlertsTest extends HostTest {
    private static final Path ROOT = Path.of("..");
    private static final Path DEPLOY = ROOT.resolve("deploy");
    private static final Path RULES = DEPLOY.resolve("alerts.yml");
    private static final Path GUIDE = ROOT.resolve("docs").resolve("operators-guide.md");

    /// A metric, and perhaps labels: `name{label="value",other=~"a|b"}`.
    private static final Pattern SELECTOR =
            Pattern.compile("(mdevhost_[a-z_]+)(?:\\{((?:[^{}\"]|\"[^\"]*\")*)})?");

    private static final Pattern LABEL = Pattern.compile("([a-z_]+)\\s*(=~|=)\\s*\"([^\"]*)\"");

    private static final Pattern ALERT = Pattern.compile("(?m)^ +- alert: (\\w+)$");

    private List<String> series = List.of();

    /// Devices, a machine and an end of a device have made all metrics appear.
    @BeforeEach
    void useEverything() {
        UUID gone = api.createMdev("gpu0", "gpu-sample-elastic-64m");
        api.createMachine("vm1", gone);
        api.run(
                        "vm1",
                        """
                        {"steps":[{"op":"write","at":{"mdev":"%s","bar":0}}]}\
                        """
                                .formatted(gone))
                .requireStatus(200);
        series = api.get("/actuator/prometheus").requireStatus(200).text().lines().toList();
        api.removeEverything();
        List<String> all = new ArrayList<>(series);
        all.addAll(api.get("/actuator/prometheus").requireStatus(200).text().lines().toList());
        series = all.stream().filter(line -> !line.startsWith("#")).toList();
    }

    @Test
    void everySeriesThatIsAskedForIsThere() throws IOException {
        for (Path file :
                List.of(RULES, DEPLOY.resolve("grafana").resolve("dashboards/mdev.json"))) {
            // The dashboards are JSON, in which quotation marks have a backslash.
            String text = Files.readString(file).replace("\\\"", "\"");
            List<MatchResult> selectors = SELECTOR.matcher(text).results().toList();
            assertThat(selectors).as("%s", file).hasSizeGreaterThan(8);
            for (MatchResult selector : selectors) {
                assertThat(series)
                        .as("%s: %s", file, selector.group())
                        .anyMatch(line -> matches(line, selector));
            }
        }
    }

    private static boolean matches(String line, MatchResult selector) {
        if (!line.startsWith(selector.group(1) + "{")
                && !line.startsWith(selector.group(1) + " ")) {
            return false;
        }
        String labels = selector.group(2) == null ? "" : selector.group(2);
        return LABEL.matcher(labels).results().allMatch(label -> hasLabel(line, label));
    }

    /// A variable of a dashboard stands for any value.
    private static boolean hasLabel(String line, MatchResult label) {
        String value = label.group(3).startsWith("$") ? "[^\"]*" : label.group(3);
        String wanted =
                label.group(2).equals("=") && !value.equals("[^\"]*")
                        ? Pattern.quote(value)
                        : "(?:" + value + ")";
        return Pattern.compile("[{,]%s=\"%s\"".formatted(label.group(1), wanted))
                .matcher(line)
                .find();
    }

    @Test
    void everyAlertSaysWhatItIsAboutAndIsInTheGuide() throws IOException {
        String rules = Files.readString(RULES);
        List<String> alerts = ALERT.matcher(rules).results().map(alert -> alert.group(1)).toList();
        assertThat(alerts).hasSizeGreaterThan(10).doesNotHaveDuplicates();
        assertThat(rules.split("expr: ", -1)).hasSize(alerts.size() + 1);
        assertThat(rules.split("severity: (info|warning|critical)", -1)).hasSize(alerts.size() + 1);
        assertThat(rules.split("summary: \"", -1)).hasSize(alerts.size() + 1);
        String guide = Files.readString(GUIDE);
        assertThat(alerts)
                .allSatisfy(alert -> assertThat(guide).contains("- **%s**".formatted(alert)));
    }

    @Test
    void prometheusReadsTheRulesThatAreMounted() throws IOException {
        assertThat(Files.readString(DEPLOY.resolve("prometheus.yml")))
                .contains("rule_files: [alerts.yml]");
        assertThat(Files.readString(ROOT.resolve("compose.yaml")))
                .contains("./deploy/alerts.yml:/etc/prometheus/alerts.yml:ro");
    }
}
