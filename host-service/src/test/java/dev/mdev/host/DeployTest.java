package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import static java.nio.charset.StandardCharsets.UTF_8;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.boot.env.YamlPropertySourceLoader;
import org.springframework.core.env.EnumerablePropertySource;
import org.springframework.core.env.PropertySource;
import org.springframework.core.io.FileSystemResource;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/// The files that start the image: they agree with it, with each other, and with the guide, and
/// give the service no right that it does not need.
class DeployTest {
    private static final Path ROOT = Path.of("..");
    private static final Path DEPLOY = ROOT.resolve("deploy");
    private static final Path QUADLET = DEPLOY.resolve("podman/mdev-host.container");
    private static final String SERVICE = "services.mdev-host.";

    /// A line of a unit, also one that is commented out; a sentence has blanks before `=`, if any.
    private static final Pattern SETTING = Pattern.compile("(?m)^(?:# )?([A-Z][A-Za-z]+)=(.*)$");

    private static final List<String> KEYS_OF_QUADLETS =
            List.of(
                    "Image",
                    "Exec",
                    "PublishPort",
                    "Volume",
                    "ReadOnly",
                    "Tmpfs",
                    "DropCapability",
                    "NoNewPrivileges",
                    "StopTimeout",
                    "AddDevice",
                    "GroupAdd");
    private static final List<String> KEYS_OF_UNITS =
            List.of("Description", "Restart", "TimeoutStopSec", "WantedBy");

    /// All values of a file of YAML, by their paths.
    private static Map<String, String> yaml(Path file) throws IOException {
        Map<String, String> values = new TreeMap<>();
        for (PropertySource<?> source :
                new YamlPropertySourceLoader()
                        .load(file.toString(), new FileSystemResource(file))) {
            if (source instanceof EnumerablePropertySource<?> names) {
                for (String name : names.getPropertyNames()) {
                    values.put(name, String.valueOf(names.getProperty(name)));
                }
            }
        }
        return values;
    }

    private static Map<String, String> compose() throws IOException {
        return yaml(ROOT.resolve("compose.yaml"));
    }

    /// The values whose path matches.
    private static List<String> all(Map<String, String> values, String path) {
        return values.entrySet().stream()
                .filter(entry -> entry.getKey().matches(path))
                .map(Map.Entry::getValue)
                .toList();
    }

    private static String dockerfile() throws IOException {
        return Files.readString(ROOT.resolve("Dockerfile"));
    }

    private static List<MatchResult> quadlet() throws IOException {
        return SETTING.matcher(Files.readString(QUADLET)).results().toList();
    }

    private static List<String> quadlet(String key) throws IOException {
        return quadlet().stream()
                .filter(line -> line.group(1).equals(key) && !line.group().startsWith("#"))
                .map(line -> line.group(2))
                .toList();
    }

    @Test
    void composeGivesTheServiceNoRights() throws IOException {
        assertThat(compose())
                .containsEntry(SERVICE + "read_only", "true")
                .containsEntry(SERVICE + "tmpfs", "/tmp")
                .containsEntry(SERVICE + "cap_drop[0]", "ALL")
                .containsEntry(SERVICE + "security_opt[0]", "no-new-privileges:true")
                .doesNotContainKeys(
                        SERVICE + "privileged", SERVICE + "user", SERVICE + "cap_add[0]");
    }

    @Test
    void theQuadletGivesTheServiceNoRights() throws IOException {
        assertThat(quadlet("ReadOnly")).containsExactly("true");
        assertThat(quadlet("NoNewPrivileges")).containsExactly("true");
        assertThat(quadlet("DropCapability")).containsExactly("ALL");
        assertThat(quadlet("AddDevice")).isEmpty();
        assertThat(quadlet().stream().map(line -> line.group(1)))
                .allMatch(key -> KEYS_OF_QUADLETS.contains(key) || KEYS_OF_UNITS.contains(key))
                .contains("AddDevice");
        int inside = Integer.parseInt(quadlet("StopTimeout").getFirst());
        assertThat(Integer.parseInt(quadlet("TimeoutStopSec").getFirst())).isGreaterThan(inside);
        assertThat(quadlet("Image")).containsExactly("localhost/mdev-host:latest");
        assertThat(compose()).containsEntry(SERVICE + "image", "mdev-host");
    }

    @Test
    void theirPortsAreOfThisMachineOnly() throws IOException {
        List<String> published = all(compose(), "services\\..*\\.ports\\[.*");
        assertThat(published)
                .hasSizeGreaterThan(1)
                .allMatch(port -> port.startsWith("127.0.0.1:"))
                .contains("127.0.0.1:8080:8080");
        assertThat(quadlet("PublishPort")).containsExactly("127.0.0.1:8080:8080");
        assertThat(dockerfile()).contains("\nEXPOSE 8080\n", "SERVER_ADDRESS=0.0.0.0");
    }

    @Test
    void whatTheyMountIsThere() throws IOException {
        Map<String, String> compose = compose();
        List<String> mounts = all(compose, "services\\..*\\.volumes\\[.*");
        assertThat(mounts).hasSizeGreaterThan(3);
        for (String mount : mounts) {
            String source = mount.substring(0, mount.indexOf(':'));
            if (source.startsWith("./")) {
                assertThat(ROOT.resolve(source)).exists();
                assertThat(mount).endsWith(":ro");
            } else {
                assertThat(compose).containsKey("volumes." + source);
            }
        }
    }

    @Test
    void theStateIsWhereTheUserOfTheImageMayWrite() throws IOException {
        String option = "--mdev.state-dir=/state";
        assertThat(all(compose(), "services\\.mdev-host\\.command\\[.*")).containsExactly(option);
        assertThat(compose()).containsEntry(SERVICE + "volumes[0]", "state:/state");
        assertThat(quadlet("Exec")).containsExactly(option);
        assertThat(quadlet("Volume")).containsExactly("mdev-state:/state:U");
        assertThat(dockerfile())
                .contains("install -d -m 700 -o 10001 -g 10001 /state", "\nUSER 10001:10001\n");
    }

    @Test
    void theirSettingsAreInTheGuide() throws IOException {
        String guide = Files.readString(ROOT.resolve("docs/operators-guide.md"));
        List<String> settings =
                Pattern.compile("\\*\\*`((?:mdev|server)\\.[a-z.-]+)`")
                        .matcher(guide)
                        .results()
                        .map(found -> found.group(1))
                        .toList();
        List<String> variables =
                Stream.concat(settings.stream(), Stream.of("server.port"))
                        .map(name -> name.toUpperCase(Locale.ROOT).replaceAll("[.-]", "_"))
                        .toList();
        Stream<String> named =
                Stream.concat(
                                compose().keySet().stream(),
                                Pattern.compile("(MDEV|SERVER)_[A-Z_]+(?==)")
                                        .matcher(dockerfile())
                                        .results()
                                        .map(MatchResult::group))
                        .map(name -> name.replace(SERVICE + "environment.", ""))
                        .filter(name -> name.matches("(MDEV|SERVER)_[A-Z_]+"));
        assertThat(named)
                .contains("MDEV_ACCESS_HOSTS", "MDEV_ACCESS_AUTHENTICATION", "SERVER_ADDRESS")
                .allMatch(variables::contains);
        assertThat(settings).contains("mdev.state-dir", "server.address");
    }

    @Test
    void prometheusFindsTheServiceOnceItIsHealthy() throws IOException {
        Map<String, String> prometheus = yaml(DEPLOY.resolve("prometheus.yml"));
        assertThat(all(prometheus, "scrape_configs\\[0]\\.static_configs.*targets.*"))
                .containsExactly("mdev-host:8080");
        assertThat(prometheus)
                .containsEntry("scrape_configs[0].metrics_path", "/actuator/prometheus");
        assertThat(compose())
                .containsEntry(SERVICE + "environment.MDEV_ACCESS_HOSTS", "mdev-host")
                .containsEntry(
                        "services.prometheus.depends_on.mdev-host.condition", "service_healthy")
                .containsKey("services.prometheus.image");
        assertThat(dockerfile()).contains("\nHEALTHCHECK ", "/actuator/health/readiness");
    }

    @Test
    void grafanaShowsTheDashboardOfItsDataSource() throws IOException {
        Path provisioning = DEPLOY.resolve("grafana/provisioning");
        Map<String, String> source = yaml(provisioning.resolve("datasources/prometheus.yaml"));
        assertThat(source)
                .containsEntry("datasources[0].url", "http://prometheus:9090")
                .containsEntry("datasources[0].uid", "prometheus");
        String dashboard = Files.readString(DEPLOY.resolve("grafana/dashboards/mdev.json"));
        assertThat(dashboard.replaceAll("\\s", ""))
                .contains("\"type\":\"prometheus\",\"uid\":\"prometheus\"")
                .doesNotContain("${DS_");
        Map<String, String> provider = yaml(provisioning.resolve("dashboards/mdev.yaml"));
        String folder = provider.getOrDefault("providers[0].options.path", "");
        Map<String, String> compose = compose();
        assertThat(all(compose, "services\\.grafana\\.volumes.*"))
                .containsExactlyInAnyOrder(
                        "./deploy/grafana/provisioning:/etc/grafana/provisioning:ro",
                        "./deploy/grafana/dashboards:%s:ro".formatted(folder));
        assertThat(compose)
                .containsEntry(
                        "services.grafana.environment.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH",
                        folder + "/mdev.json");
    }

    /// By podman's own generator of units.
    @Test
    void podmanMakesAUnitOfTheQuadlet(@TempDir Path units) throws Exception {
        Optional<Path> generator =
                Stream.of("/usr/libexec/podman/quadlet", "/usr/lib/podman/quadlet")
                        .map(Path::of)
                        .filter(Files::isExecutable)
                        .findFirst();
        assumeTrue(generator.isPresent() && isPodman5(), "no podman 5 here");
        Files.copy(QUADLET, units.resolve("mdev-host.container"));
        String made =
                run(Map.of("QUADLET_UNIT_DIRS", units.toString()), generator.get() + "", "-dryrun");
        assertThat(made)
                .contains("mdev-host.service", "ExecStart=", "--read-only", "--cap-drop=all");
    }

    private static boolean isPodman5() throws Exception {
        return Files.isExecutable(Path.of("/usr/bin/podman"))
                && run(Map.of(), "/usr/bin/podman", "--version")
                        .matches("(?s).*version ([5-9]|[1-9][0-9])\\..*");
    }

    private static String run(Map<String, String> environment, String... command)
            throws IOException, InterruptedException {
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().putAll(environment);
        Process process = builder.start();
        String printed = new String(process.getInputStream().readAllBytes(), UTF_8);
        assertThat(process.waitFor()).as(printed).isZero();
        return printed;
    }
}
