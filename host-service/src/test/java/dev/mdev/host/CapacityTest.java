package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import tools.jackson.databind.JsonNode;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;

/// The capacity of a parent, why a device does not fit, and making room.
class CapacityTest extends HostTest {
    private static final String PARENT = "/api/v1/parents/hostile";

    /// 64 devices of 16 pages fill the parent; then some are removed.
    private List<UUID> fill() {
        List<UUID> all = new ArrayList<>();
        for (int i = 0; i < 64; i++) {
            all.add(api.createMdev("hostile", i % 2 == 0 ? "honest" : "denies"));
        }
        return all;
    }

    private static List<String> text(List<UUID> all, int... indices) {
        return Arrays.stream(indices).mapToObj(i -> all.get(i).toString()).toList();
    }

    private void remove(UUID mdev) {
        api.delete("/api/v1/mdevs/" + mdev).requireStatus(204);
    }

    @Test
    void capacityIsWhatTheExtentsSay() {
        UUID first = api.createMdev("gpu0", "gpu-sample-64m");
        UUID second = api.createMdev("gpu0", "gpu-sample-16m");
        remove(first);

        Answer capacity = api.get("/api/v1/parents/gpu0/capacity").requireStatus(200);

        assertThat(capacity.at("/parent")).isEqualTo("gpu0");
        assertThat(capacity.at("/presence")).isEqualTo("present");
        JsonNode vram = capacity.body().at("/pools/0");
        assertThat(vram.at("/totalPages").asLong()).isEqualTo(65536);
        assertThat(vram.at("/freePages").asLong()).isEqualTo(65536 - 4096);
        long next = 0;
        long free = 0;
        long largest = 0;
        List<String> owners = new ArrayList<>();
        for (JsonNode extent : vram.at("/extents")) {
            assertThat(extent.at("/firstPage").asLong()).isEqualTo(next);
            next += extent.at("/pages").asLong();
            if (extent.at("/use").asString().equals("free")) {
                free += extent.at("/pages").asLong();
                largest = Math.max(largest, extent.at("/pages").asLong());
            } else {
                owners.add(extent.at("/mdev").asString());
            }
        }
        assertThat(next).isEqualTo(65536);
        assertThat(free).isEqualTo(65536 - 4096);
        assertThat(largest).isEqualTo(vram.at("/largestFreePages").asLong());
        assertThat(owners).containsExactly(second.toString());
        assertThat(capacity.at("/types/2/id")).isEqualTo("gpu-sample-64m");
        assertThat(capacity.numberAt("/types/2/available")).isEqualTo(3);
        assertThat(capacity.numberAt("/scrubbedBytes")).isGreaterThanOrEqualTo(64 << 20);
        api.get("/api/v1/parents/nope/capacity").requireProblem(404, "not-found");
    }

    @Test
    void whatFitsIsExplainedToo() {
        Answer fits = api.get("/api/v1/parents/gpu0/types/gpu-sample-128m/explain");
        assertThat(fits.requireStatus(200).body().at("/fits").asBoolean()).isTrue();
        assertThat(fits.body().at("/shortages").size()).isZero();
        assertThat(fits.body().at("/plan").isMissingNode()).isTrue();
        api.get("/api/v1/parents/gpu0/types/nope/explain").requireProblem(404, "not-found");
    }

    @Test
    void whoIsInTheWayAndCannotMoveIsNamed() {
        List<UUID> all = fill();
        remove(all.get(2));
        remove(all.get(4));
        String big = PARENT + "/types/big/explain";

        Answer report = api.get(big).requireStatus(200);

        assertThat(report.body().at("/fits").asBoolean()).isFalse();
        assertThat(report.body().at("/shortages/0/fragmented").asBoolean()).isTrue();
        assertThat(report.at("/shortages/0/blockers/0/reason")).isEqualTo("not_movable");
        String blocker = report.at("/shortages/0/blockers/0/mdev");
        assertThat(blocker).as("a neighbour of what is free").isIn(text(all, 1, 3, 5));
        assertThat(report.at("/text")).contains("32 are free").contains(blocker);
        assertThat(report.body().at("/plan").isMissingNode()).isTrue();
        api.post(PARENT + "/types/big/defragment", "{\"plan\":\"0\"}")
                .requireProblem(409, "wrong-state");
        api.post(PARENT + "/types/big/defragment", "{}").requireProblem(422, "invalid");
        remove(all.get(3));
        assertThat(api.get(big).body().at("/fits").asBoolean()).isTrue();
    }

    @Test
    void aPlanIsAppliedOnceAndThenTheDeviceFits() {
        String spec = "{\"parent\":\"hostile\",\"type\":\"big\"}";
        List<UUID> all = new ArrayList<>();
        for (int i = 0; i < 63; i++) {
            all.add(api.createMdev("hostile", i == 3 ? "movable" : "honest"));
        }
        remove(all.get(2));
        api.post("/api/v1/mdevs", spec).requireProblem(409, "no-capacity");
        Answer before = api.get(PARENT + "/types/big/explain").requireStatus(200);
        assertThat(before.numberAt("/plan/pages")).isEqualTo(16);
        assertThat(before.at("/plan/moves/0/mdev")).isEqualTo(all.get(3).toString());
        assertThat(before.at("/shortages/0/blockers/0/reason")).isEqualTo("idle");
        String apply = "{\"plan\":\"%s\"}".formatted(before.at("/plan/id"));
        long last = api.get("/api/v1/events").numberAt("/lastId");

        Answer after = api.post(PARENT + "/types/big/defragment", apply).requireStatus(200);

        assertThat(after.body().at("/fits").asBoolean()).isTrue();
        assertThat(api.namesOf("/api/v1/events?after=" + last, "/kind"))
                .containsExactly("mdev_moved");
        api.post(PARENT + "/types/big/defragment", apply).requireProblem(409, "wrong-state");
        api.post("/api/v1/mdevs", spec).requireStatus(201);
    }

    @Test
    void aParentIsLookedAtAndRepairedOnDemand() {
        api.post(PARENT + "/rescan", "").requireStatus(204);
        api.post(PARENT + "/repair", "").requireStatus(204);
        api.post("/api/v1/parents/nope/rescan", "").requireProblem(404, "not-found");
    }
}
