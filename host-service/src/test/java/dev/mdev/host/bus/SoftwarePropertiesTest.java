package dev.mdev.host.bus;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.engine.software.SoftwareOptions;

import org.junit.jupiter.api.Test;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.mock.env.MockEnvironment;

class SoftwarePropertiesTest {
    private static SoftwareOptions with(String... settings) {
        MockEnvironment environment = new MockEnvironment();
        for (String setting : settings) {
            String[] parts = setting.split("=", 2);
            environment.setProperty("mdev.software." + parts[0], parts[1]);
        }
        return Binder.get(environment)
                .bindOrCreate("mdev.software", SoftwareProperties.class)
                .options();
    }

    @Test
    void withoutSettingsItPlaysTheUsualMachine() {
        assertThat(with()).isEqualTo(SoftwareOptions.DEFAULT);
    }

    @Test
    void eachSettingChangesItsTraitAndNoOther() {
        SoftwareOptions usual = SoftwareOptions.DEFAULT;
        assertThat(with("two-dimensional-paging=true")).isEqualTo(usual.withTwoDimensionalPaging());
        assertThat(with("physical-address-bits=39")).isEqualTo(usual.withPhysicalAddressBits(39));
        assertThat(with("page-modification-logging=true"))
                .isEqualTo(usual.withPageModificationLogging());
        assertThat(with("zap-all-on-removal=false")).isEqualTo(usual.withoutZapAll());
        assertThat(with("ring-defects=true")).isEqualTo(usual.withRingDefects());
    }
}
