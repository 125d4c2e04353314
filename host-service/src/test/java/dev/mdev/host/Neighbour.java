package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.UUID;

/// An honest device beside hostile ones: of the same parent, in a machine of its own. Its guest has
/// stored to one page. Each test of a hostile driver ends with [#requireNoHarm].
final class Neighbour {
    private static final String MACHINE = "neighbour";

    private final Api api;
    private final long freePages;
    private final UUID uuid;

    /// Pages that the guest has touched.
    private int touched = 1;

    /// Before the hostile devices are made.
    Neighbour(Api api) {
        this.api = api;
        this.freePages = freePages();
        this.uuid = api.createMdev(HostileDriver.PARENT, "honest");
        api.createMachine(MACHINE, uuid);
        assertThat(run("write").at("/end")).isEqualTo("completed");
    }

    UUID uuid() {
        return uuid;
    }

    private Answer run(String op) {
        return run(op, 3, 7);
    }

    private Answer run(String op, int page, int value) {
        String program =
                """
                {"steps":[{"op":"%s","at":{"mdev":"%s","bar":0,"offset":"0x%x008"},"value":%d}]}\
                """
                        .formatted(op, uuid, page, value);
        return api.run(MACHINE, program).requireStatus(200);
    }

    /// The driver serves the neighbour's guest as before: a page that it did not touch yet faults
    /// once, is empty, and takes what it stores.
    void requireWorking() {
        requireUntouched();
        int fresh = 3 + touched;
        Answer first = run("check", fresh, 0);
        assertThat(first.at("/end")).isEqualTo("completed");
        assertThat(first.numberAt("/steps/0/mismatches")).isZero();
        assertThat(first.numberAt("/devices/0/faults")).isEqualTo(1);
        touched++;
        assertThat(run("write", fresh, 7).at("/end")).isEqualTo("completed");
        assertThat(run("check", fresh, 7).numberAt("/steps/0/mismatches")).isZero();
        requireUntouched();
    }

    /// The neighbour's guest goes on without a fault, and what it stored is there.
    void requireUntouched() {
        Answer again = run("check");
        assertThat(again.at("/end")).isEqualTo("completed");
        assertThat(again.numberAt("/steps/0/mismatches")).isZero();
        assertThat(again.numberAt("/devices/0/faults")).isZero();
        assertThat(again.numberAt("/devices/0/residentPages")).isEqualTo(touched);
    }

    /// The neighbour is untouched, and at the end of all machines and devices their pages are free.
    ///
    /// @param hostile the hostile devices that are left
    void requireNoHarm(UUID... hostile) {
        requireUntouched();
        for (String machine : api.namesOf("/api/v1/machines", "/name")) {
            api.delete("/api/v1/machines/" + machine).requireStatus(204);
        }
        for (UUID device : hostile) {
            api.delete("/api/v1/mdevs/" + device).requireStatus(204);
        }
        api.delete("/api/v1/mdevs/" + uuid).requireStatus(204);
        assertThat(freePages()).as("pages that were given back").isEqualTo(freePages);
    }

    private long freePages() {
        return api.get("/api/v1/parents/" + HostileDriver.PARENT).numberAt("/pools/0/freePages");
    }
}
