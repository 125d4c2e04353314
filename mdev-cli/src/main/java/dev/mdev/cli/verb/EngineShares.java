package dev.mdev.cli.verb;

import dev.mdev.cli.client.ApiPath;
import dev.mdev.cli.client.Service;
import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.failure.Failure;
import dev.mdev.cli.text.Fields;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// Which part of the work of a parent's engine each device had done between two looks, for devices
/// whose driver counts that as `engine_work_units`.
final class EngineShares {
    private static final String WORK = "/counters/engine_work_units";

    private final Service service;
    private Map<String, Long> before = Map.of();

    EngineShares(Service service) {
        this.service = service;
    }

    /// Looks at the counters, and adds the shares since the last look, 0 to 1, as `engineShare`.
    ///
    /// @param rows devices, each with `uuid` and `parent`
    /// @throws Failure if the service does not answer
    void addTo(List<ObjectNode> rows) {
        Map<String, Long> counts = new HashMap<>();
        Map<String, Double> done = new HashMap<>();
        Map<String, Double> ofParents = new HashMap<>();
        for (ObjectNode row : rows) {
            String uuid = Fields.text(row, "/uuid");
            JsonNode work = counters(uuid).at(WORK);
            if (!work.isIntegralNumber() || !work.canConvertToLong()) {
                continue;
            }
            counts.put(uuid, work.asLong());
            Long earlier = before.get(uuid);
            if (earlier != null) {
                // A reset device counts anew.
                double units = Math.max(0, (double) work.asLong() - earlier);
                done.put(uuid, units);
                ofParents.merge(Fields.text(row, "/parent"), units, Double::sum);
            }
        }
        before = counts;
        for (ObjectNode row : rows) {
            Double units = done.get(Fields.text(row, "/uuid"));
            if (units != null) {
                double all = ofParents.getOrDefault(Fields.text(row, "/parent"), 0.0);
                row.put("engineShare", all > 0 ? units / all : 0);
            }
        }
    }

    /// None for a device that has just ended, or whose driver is busy: its neighbours have shares.
    private JsonNode counters(String uuid) {
        try {
            return service.get(ApiPath.of("mdevs", uuid, "counters"));
        } catch (Failure e) {
            if (e.code() == ExitCode.UNREACHABLE) {
                throw e;
            }
            return Verb.body();
        }
    }
}
