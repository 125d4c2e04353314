package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.UUID;

/// The dirty log of a machine, over REST.
class DirtyLogTest extends HostTest {
    private static final String LOG = "/api/v1/machines/vm1/dirty-log";

    private void write(String place) {
        Answer result =
                api.post(
                        "/api/v1/machines/vm1/vcpus/0/programs",
                        "{\"steps\":[{\"op\":\"write\",\"at\":{%s},\"value\":1}]}"
                                .formatted(place));
        assertThat(result.at("/end")).isEqualTo("completed");
    }

    @Test
    void writtenPagesAreReportedUntilTheyAreCleared() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("vm1", mdev);
        write("\"gpa\":\"0x1000\"");
        assertThat(api.get(LOG).at("/mode")).isEqualTo("off");

        assertThat(api.put(LOG, "{\"mode\":\"bitmap\"}").at("/mode")).isEqualTo("bitmap");
        write("\"gpa\":\"0x5000\"");
        write("\"gpa\":\"0x6000\"");
        write("\"mdev\":\"%s\",\"bar\":0,\"offset\":\"0x3000\"".formatted(mdev));

        Answer bySlot = api.get(LOG);
        assertThat(bySlot.numberAt("/dirty")).isEqualTo(3);
        assertThat(bySlot.at("/parts/0/gpa")).isEqualTo("0x0");
        assertThat(bySlot.numberAt("/parts/0/runs/0/first")).isEqualTo(5);
        assertThat(bySlot.numberAt("/parts/0/runs/0/count")).isEqualTo(2);
        Answer byMemory = api.get(LOG + "?by=memory");
        assertThat(byMemory.numberAt("/dirty")).isEqualTo(3);
        assertThat(byMemory.at("/parts/1/mdev")).isEqualTo(mdev.toString());
        assertThat(byMemory.numberAt("/parts/1/runs/0/first")).isEqualTo(3);
        Answer taken = api.post(LOG + "/clear", "");
        assertThat(taken.numberAt("/dirty")).isEqualTo(3);
        assertThat(api.get(LOG).numberAt("/dirty")).isZero();
        assertThat(api.get(LOG + "?by=memory").numberAt("/dirty")).isZero();
        write("\"gpa\":\"0x5000\"");
        assertThat(api.get(LOG).numberAt("/dirty")).isEqualTo(1);
        assertThat(api.put(LOG, "{\"mode\":\"off\"}").numberAt("/dirty")).isZero();
    }

    @Test
    void wrongCallsAreProblemsAndChangeNothing() {
        api.createMachine("vm1");
        assertThat(api.put(LOG, "{\"mode\":\"rings\"}").status()).isEqualTo(422);
        assertThat(api.put(LOG, "{}").status()).isEqualTo(422);
        assertThat(api.get(LOG + "?by=page").status()).isEqualTo(422);
        assertThat(api.post(LOG + "/clear", "").status()).isEqualTo(409);
        assertThat(api.get("/api/v1/machines/none/dirty-log").status()).isEqualTo(404);
        assertThat(api.get(LOG).at("/mode")).isEqualTo("off");
    }

    @Test
    void aRingThatFillsIsHarvestedAndCounted() {
        api.post("/api/v1/machines", "{\"name\":\"vm1\",\"ramMib\":16}").requireStatus(201);
        assertThat(api.put(LOG, "{\"mode\":\"ring\",\"entries\":256}").numberAt("/entries"))
                .isEqualTo(256);
        Answer result =
                api.post(
                        "/api/v1/machines/vm1/vcpus/0/programs",
                        """
                        {"steps":[{"op":"write","at":{"gpa":0},"count":1000,"stride":4096,"value":1}]}
                        """);
        assertThat(result.at("/end")).isEqualTo("completed");

        Answer log = api.get(LOG + "?by=memory");
        assertThat(log.numberAt("/dirty")).isEqualTo(1000);
        // The page at which a ring becomes full is stored to, and logged, after the harvest again.
        long harvested = log.numberAt("/harvested");
        assertThat(harvested).isBetween(1000L, 1010L);
        assertThat(log.numberAt("/full")).isEqualTo(5);
        assertThat(scrape())
                .contains("mdevhost_dirty_pages{machine=\"vm1\"} 1000.0")
                .contains(
                        "mdevhost_dirty_ring_entries_total{machine=\"vm1\"} %d.0"
                                .formatted(harvested))
                .contains("mdevhost_dirty_ring_full_total{machine=\"vm1\"} 5.0");
        assertThat(api.post(LOG + "/clear", "").numberAt("/taken")).isEqualTo(1000);
        assertThat(scrape()).contains("mdevhost_dirty_taken_pages_total{machine=\"vm1\"} 1000.0");

        api.put(LOG, "{\"mode\":\"off\"}").requireStatus(200);
        assertThat(api.put(LOG, "{\"mode\":\"bitmap\"}").status()).isEqualTo(409);
        api.delete("/api/v1/machines/vm1").requireStatus(204);
        assertThat(scrape()).noneMatch(line -> line.contains("machine=\"vm1\""));
    }

    @Test
    void withManualProtectionNamedPagesBecomeClean() {
        api.createMachine("vm1");
        api.put(LOG, "{\"mode\":\"manual\",\"initiallySet\":true}").requireStatus(200);
        long pages = api.get(LOG).numberAt("/dirty");
        assertThat(pages).isGreaterThan(64);
        String clear = LOG + "/clear";
        Answer rest = api.post(clear, "{\"slot\":0,\"first\":0,\"pages\":64}");
        assertThat(rest.numberAt("/dirty")).isEqualTo(pages - 64);
        write("\"gpa\":\"0x5000\"");
        assertThat(api.get(LOG).numberAt("/dirty")).isEqualTo(pages - 63);

        assertThat(api.post(clear, "{\"slot\":0,\"first\":1,\"pages\":64}").status())
                .isEqualTo(422);
        assertThat(api.post(clear, "{\"slot\":9,\"first\":0,\"pages\":64}").status())
                .isEqualTo(404);
        assertThat(api.post(clear, "{\"slot\":0}").status()).isEqualTo(422);
        assertThat(api.put(LOG, "{\"mode\":\"bitmap\"}").status()).isEqualTo(409);
        assertThat(api.get(LOG).numberAt("/dirty")).isEqualTo(pages - 63);
    }

    @Test
    void ringsOfImpossibleSizesAndFieldsOfOtherModesAreRefused() {
        api.createMachine("vm1");
        for (String entries : new String[] {"255", "300", "128", "131072", "0"}) {
            String asked = "{\"mode\":\"ring\",\"entries\":%s}".formatted(entries);
            assertThat(api.put(LOG, asked).status()).as(asked).isEqualTo(422);
        }
        assertThat(api.put(LOG, "{\"mode\":\"bitmap\",\"entries\":256}").status()).isEqualTo(422);
        assertThat(api.put(LOG, "{\"mode\":\"ring\",\"initiallySet\":true}").status())
                .isEqualTo(422);
        write("\"gpa\":\"0x5000\"");
        assertThat(api.put(LOG, "{\"mode\":\"ring\"}").status()).isEqualTo(409);
        assertThat(api.get(LOG).at("/mode")).isEqualTo("off");
    }

    private List<String> scrape() {
        return api.get("/actuator/prometheus").requireStatus(200).text().lines().toList();
    }
}
