package dev.mdev.host.bus;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.bus.BusOptions;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.elastic.ElasticOptions;

import org.junit.jupiter.api.Test;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.boot.context.properties.source.MapConfigurationPropertySource;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;

/// The settings of elastic shares as an operator writes them.
final class ElasticPropertiesTest {
    private static BusOptions optionsOf(Map<String, String> settings) {
        return new Binder(new MapConfigurationPropertySource(settings))
                .bindOrCreate("mdev", BusProperties.class)
                .options(MdevObserver.NONE);
    }

    @Test
    void aParentTakesWhatItLeavesOutFromTheSettingsOfAll() {
        BusOptions options =
                optionsOf(
                        Map.of(
                                "mdev.state-dir", "/var/lib/mdev",
                                "mdev.elastic.stay", "20ms",
                                "mdev.elastic.max-ratio", "3",
                                "mdev.elastic.parents.gpu1.max-ratio", "1.5",
                                "mdev.elastic.parents.gpu1.store", "file",
                                "mdev.elastic.parents.gpu1.store-max", "64MB",
                                "mdev.elastic.parents.gpu1.encrypted", "true"));
        assertThat(options.elasticOf("gpu1"))
                .isEqualTo(
                        new ElasticOptions(
                                Duration.ofMillis(20),
                                1.5,
                                Optional.of(Path.of("/var/lib/mdev/elastic")),
                                64 << 20,
                                true));
        assertThat(options.elasticOf("gpu0"))
                .isEqualTo(
                        new ElasticOptions(
                                Duration.ofMillis(20), 3, Optional.empty(), 1 << 30, false));
    }

    @Test
    void withoutSettingsAllParentsAreAlike() {
        assertThat(optionsOf(Map.of()).elasticOf("gpu0")).isEqualTo(ElasticOptions.DEFAULT);
    }
}
