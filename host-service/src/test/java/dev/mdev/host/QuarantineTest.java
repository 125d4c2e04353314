package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.context.annotation.Import;

/// A metric counts pages that cannot be scrubbed, until they can be.
@Import(RottenDriver.Beans.class)
class QuarantineTest extends HostTest {
    @Autowired private RottenDriver driver;

    private void requirePages(String state, int pages) {
        assertThat(api.get("/actuator/prometheus").requireStatus(200).text().lines())
                .contains(
                        "mdevhost_parent_pool_pages{parent=\"rotten\",pool=\"pages\",state=\"%s\"} %d.0"
                                .formatted(state, pages));
    }

    @Test
    void quarantinedPagesAreMeasuredUntilTheyAreRepaired() {
        requirePages("total", 16);
        requirePages("free", 14);
        requirePages("quarantined", 2);

        api.post("/api/v1/parents/rotten/repair", "").requireStatus(204);
        requirePages("quarantined", 2);
        driver.mend();
        api.post("/api/v1/parents/rotten/repair", "").requireStatus(204);

        requirePages("free", 16);
        requirePages("quarantined", 0);
    }
}
