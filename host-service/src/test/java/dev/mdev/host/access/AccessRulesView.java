package dev.mdev.host.access;

import dev.mdev.host.access.AccessRules.Extent;
import dev.mdev.host.access.AccessRules.Rule;

import java.util.List;

/// Shows the rules to tests of other packages.
public final class AccessRulesView {
    private AccessRulesView() {}

    public static List<String> endpoints() {
        return AccessRules.all().stream().map(Rule::endpoint).toList();
    }

    private static Rule ruleOf(String endpoint) {
        int blank = endpoint.indexOf(' ');
        return AccessRules.of(endpoint.substring(0, blank), endpoint.substring(blank + 1));
    }

    public static String roleOf(String endpoint) {
        return ruleOf(endpoint).role().word();
    }

    public static boolean isPublic(String endpoint) {
        return ruleOf(endpoint).extent() == Extent.PUBLIC;
    }

    public static boolean isOfTheHost(String endpoint) {
        return ruleOf(endpoint).extent() == Extent.HOST;
    }
}
