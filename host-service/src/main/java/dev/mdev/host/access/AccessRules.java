package dev.mdev.host.access;

import static dev.mdev.host.access.AccessRules.Extent.HOST;
import static dev.mdev.host.access.AccessRules.Extent.OBJECTS;
import static dev.mdev.host.access.AccessRules.Extent.PUBLIC;

import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;

/// Who may call which endpoint: the one table. An endpoint without a rule is for administrators of
/// the whole host only, and a test fails.
final class AccessRules {
    /// The first part of every path.
    private static final String ROOT = "/api/v1";

    /// What an endpoint shows or changes.
    enum Extent {
        /// Nothing that needs protection: everyone may call it.
        PUBLIC,
        /// Objects that its path names, or those that the caller sees.
        OBJECTS,
        /// The whole host: only for callers whose reach is everything.
        HOST
    }

    /// Who may call an endpoint.
    record Rule(String endpoint, Role role, Extent extent) {}

    /// The rule of an endpoint that has none.
    private static final Rule STRICTEST = new Rule("", Role.ADMIN, HOST);

    /// Where the server reports errors; a request of a client for it finds nothing.
    private static final String ERROR = "/error";

    /// Makes the machine that it names.
    static final String RESTORE_MACHINE = "PUT " + ROOT + "/machines/{name}/state";

    /// By method and pattern.
    private static final Map<String, Rule> RULES = new LinkedHashMap<>();

    static {
        add(Role.VIEWER, PUBLIC, "POST /session", "GET /session", "DELETE /session");

        add(Role.VIEWER, OBJECTS, "GET ");

        add(Role.VIEWER, OBJECTS, "GET /mdevs", "GET /mdevs/{uuid}");
        add(Role.VIEWER, OBJECTS, "GET /mdevs/{uuid}/faults", "GET /mdevs/{uuid}/counters");
        add(Role.VIEWER, OBJECTS, "GET /mdevs/{uuid}/residency");
        add(Role.OPERATOR, OBJECTS, "POST /mdevs", "PUT /mdevs/{uuid}", "DELETE /mdevs/{uuid}");
        add(Role.OPERATOR, OBJECTS, "PATCH /mdevs/{uuid}", "PATCH /definitions/{uuid}");
        add(Role.OPERATOR, OBJECTS, "PATCH /machines/{name}");
        add(Role.OPERATOR, OBJECTS, "POST /mdevs/{uuid}/start", "POST /mdevs/{uuid}/stop");
        add(Role.OPERATOR, OBJECTS, "POST /mdevs/{uuid}/revoke", "POST /mdevs/{uuid}/reset");
        // The content of guests.
        add(Role.OPERATOR, OBJECTS, "GET /mdevs/{uuid}/picture");
        add(Role.OPERATOR, OBJECTS, "GET /mdevs/{uuid}/state", "PUT /mdevs/{uuid}/state");
        add(Role.ADMIN, HOST, "POST /mdevs/{uuid}/adopt");

        add(Role.VIEWER, OBJECTS, "GET /definitions", "GET /definitions/{uuid}");
        add(Role.OPERATOR, OBJECTS, "PUT /definitions/{uuid}", "DELETE /definitions/{uuid}");
        add(Role.VIEWER, OBJECTS, "GET /definitions/export");
        add(Role.OPERATOR, OBJECTS, "POST /definitions/import");
        add(Role.ADMIN, HOST, "DELETE /definitions/quarantined/{file}");

        add(Role.VIEWER, OBJECTS, "GET /parents", "GET /parents/{name}");
        add(Role.VIEWER, OBJECTS, "GET /parents/{name}/types", "GET /parents/{name}/types/{type}");
        add(Role.VIEWER, OBJECTS, "GET /parents/{name}/capacity");
        add(Role.VIEWER, OBJECTS, "GET /parents/{name}/types/{type}/explain");
        add(Role.ADMIN, HOST, "DELETE /parents/{name}", "POST /parents/{name}/rescan");
        add(Role.ADMIN, HOST, "POST /parents/{name}/repair", "POST /parents");
        // It moves the devices of everyone.
        add(Role.ADMIN, HOST, "POST /parents/{name}/types/{type}/defragment");

        add(Role.VIEWER, OBJECTS, "GET /machines", "GET /machines/{name}");
        add(Role.VIEWER, OBJECTS, "GET /machines/{name}/qemu");
        add(Role.VIEWER, OBJECTS, "GET /machines/{name}/devices/{uuid}/interrupts");
        add(Role.OPERATOR, OBJECTS, "POST /machines", "DELETE /machines/{name}");
        add(Role.OPERATOR, OBJECTS, "GET /machines/{name}/state");
        add(Role.OPERATOR, OBJECTS, "PUT /machines/{name}/state");
        add(Role.OPERATOR, OBJECTS, "GET /machines/{name}/dirty-log");
        add(Role.OPERATOR, OBJECTS, "PUT /machines/{name}/dirty-log");
        add(Role.OPERATOR, OBJECTS, "POST /machines/{name}/dirty-log/clear");
        add(Role.OPERATOR, OBJECTS, "PUT /machines/{name}/devices/{uuid}");
        add(Role.OPERATOR, OBJECTS, "DELETE /machines/{name}/devices/{uuid}");
        add(Role.OPERATOR, OBJECTS, "POST /machines/{name}/vcpus/{vcpu}/programs");
        add(Role.OPERATOR, OBJECTS, "POST /machines/{name}/vcpus/{vcpu}/interrupt");

        // A document may name everything. These two change nothing.
        add(Role.VIEWER, HOST, "POST /desired/plan", "POST /desired/assert");
        add(Role.OPERATOR, HOST, "PUT /desired");

        add(Role.VIEWER, OBJECTS, "GET /events");
        // Those that somebody of the caller's reach began.
        add(Role.VIEWER, OBJECTS, "GET /operations", "GET /operations/{id}");
        add(Role.OPERATOR, OBJECTS, "DELETE /operations/{id}");
        add(Role.VIEWER, HOST, "GET /doctor", "GET /drivers");
        add(Role.ADMIN, HOST, "POST /drivers");

        add(Role.ADMIN, HOST, "GET /audit", "GET /audit/verification");

        add(Role.ADMIN, OBJECTS, "GET /tokens", "POST /tokens");
        add(Role.ADMIN, OBJECTS, "GET /tokens/{id}", "DELETE /tokens/{id}");
    }

    private AccessRules() {}

    private static void add(Role role, Extent extent, String... endpoints) {
        for (String endpoint : endpoints) {
            String full = endpoint.replaceFirst(" ", " " + ROOT);
            if (RULES.put(full, new Rule(full, role, extent)) != null) {
                throw new IllegalStateException("two rules for " + full);
            }
        }
    }

    /// The rule of an endpoint, by its method and the pattern of its path.
    static Rule of(String method, String pattern) {
        if (pattern.equals(ERROR)) {
            return new Rule(ERROR, Role.VIEWER, PUBLIC);
        }
        String asked = method.equals("HEAD") ? "GET" : method;
        return RULES.getOrDefault(asked + " " + pattern, STRICTEST);
    }

    static Collection<Rule> all() {
        return RULES.values();
    }
}
