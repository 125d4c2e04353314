package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.config.BeanDefinition;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.context.annotation.ClassPathScanningCandidateComponentProvider;
import org.springframework.core.type.filter.AnnotationTypeFilter;

import java.lang.reflect.RecordComponent;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;

/// The operator's guide has each setting of the service, and no setting that there is not.
class SettingsInTheGuideTest {
    private static final Path GUIDE = Path.of("..", "docs", "operators-guide.md");
    private static final Pattern DOCUMENTED = Pattern.compile("\\*\\*`(mdev\\.[A-Za-z.…-]+)`");

    private static Set<String> settings() throws ClassNotFoundException {
        ClassPathScanningCandidateComponentProvider scan =
                new ClassPathScanningCandidateComponentProvider(false);
        scan.addIncludeFilter(new AnnotationTypeFilter(ConfigurationProperties.class));
        Set<String> names = new TreeSet<>();
        for (BeanDefinition found : scan.findCandidateComponents("dev.mdev.host")) {
            Class<?> type = Class.forName(Objects.requireNonNull(found.getBeanClassName()));
            ConfigurationProperties bound = type.getAnnotation(ConfigurationProperties.class);
            if (bound != null && type.isRecord()) {
                for (RecordComponent component : type.getRecordComponents()) {
                    names.add(bound.value() + "." + dashed(component.getName()));
                }
            }
        }
        return names;
    }

    private static String dashed(String name) {
        return name.replaceAll("([A-Z])", "-$1").toLowerCase(Locale.ROOT);
    }

    /// A record may have records, lists and maps in it.
    private static boolean covers(String setting, String documented) {
        return documented.equals(setting) || documented.startsWith(setting + ".");
    }

    @Test
    void eachIsThereAndNoOther() throws Exception {
        Set<String> settings = settings();
        List<String> documented =
                DOCUMENTED
                        .matcher(Files.readString(GUIDE))
                        .results()
                        .map(found -> found.group(1))
                        .toList();
        assertThat(settings).contains("mdev.state-dir", "mdev.access.hosts");
        assertThat(settings)
                .allSatisfy(setting ->
                        assertThat(documented).as(setting).anyMatch(name -> covers(setting, name)));
        assertThat(documented)
                .hasSizeGreaterThan(40)
                .allSatisfy(name ->
                        assertThat(settings).as(name).anyMatch(setting -> covers(setting, name)));
    }
}
