package dev.mdev.host.access;

import dev.mdev.host.access.AccessRules.Extent;
import dev.mdev.host.access.AccessRules.Rule;
import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.web.StrictUuid;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import org.springframework.beans.factory.ObjectProvider;
import org.springframework.stereotype.Component;
import org.springframework.web.method.HandlerMethod;
import org.springframework.web.servlet.HandlerInterceptor;
import org.springframework.web.servlet.HandlerMapping;
import org.springframework.web.servlet.config.annotation.InterceptorRegistry;
import org.springframework.web.servlet.config.annotation.WebMvcConfigurer;

import java.util.Map;
import java.util.UUID;

/// Applies the [AccessRules] to the endpoint that Spring chose for a request, and hides what its
/// path names if the caller does not see it.
@Component
final class AccessInterceptor implements HandlerInterceptor, WebMvcConfigurer {
    /// The web layer exists before the bus does.
    private final ObjectProvider<Visibility> visibility;

    AccessInterceptor(ObjectProvider<Visibility> visibility) {
        this.visibility = visibility;
    }

    @Override
    public void addInterceptors(InterceptorRegistry registry) {
        registry.addInterceptor(this).order(0);
    }

    @Override
    public boolean preHandle(
            HttpServletRequest request, HttpServletResponse response, Object handler) {
        if (!(handler instanceof HandlerMethod)) {
            return true;
        }
        String pattern =
                String.valueOf(
                        request.getAttribute(HandlerMapping.BEST_MATCHING_PATTERN_ATTRIBUTE));
        Rule rule = AccessRules.of(request.getMethod(), pattern);
        if (rule.extent() == Extent.PUBLIC) {
            return true;
        }
        Caller caller = Caller.known().orElseThrow(() -> SecurityConfiguration.reasonOf(request));
        require(caller, rule);
        requireVisible(caller, rule, pattern, variables(request));
        return true;
    }

    private static void require(Caller caller, Rule rule) {
        if (!caller.role().includes(rule.role())) {
            throw new ProblemException(
                    Problem.DENIED,
                    "caller=%s has role=%s; this needs role=%s"
                            .formatted(caller.name(), caller.role().word(), rule.role().word()));
        }
        if (rule.extent() == Extent.HOST && !caller.reach().isEverything()) {
            throw new ProblemException(
                    Problem.DENIED,
                    "caller=%s sees a part of this host; this needs a token without tenant, parents and machines"
                            .formatted(caller.name()));
        }
    }

    @SuppressWarnings("unchecked")
    private static Map<String, String> variables(HttpServletRequest request) {
        return request.getAttribute(HandlerMapping.URI_TEMPLATE_VARIABLES_ATTRIBUTE)
                        instanceof Map<?, ?> map
                ? (Map<String, String>) map
                : Map.of();
    }

    private void requireVisible(
            Caller caller, Rule rule, String pattern, Map<String, String> variables) {
        if (caller.reach().isEverything()) {
            return;
        }
        Visibility sight = visibility.getObject();
        String name = variables.get("name");
        if (name != null && rule.endpoint().equals(AccessRules.RESTORE_MACHINE)) {
            // A machine of this name that the caller does not see is refused as a name in use.
            sight.requireMachineName(caller, name);
        } else if (name != null) {
            boolean sees =
                    pattern.startsWith("/api/v1/machines/")
                            ? sight.seesMachine(caller, name)
                            : sight.seesParent(caller, name);
            if (!sees) {
                throw ProblemException.notFound("there is nothing of this name: " + name);
            }
        }
        String uuid = variables.get("uuid");
        // Another text is refused later, as one that cannot be read.
        if (uuid != null
                && StrictUuid.isUuid(uuid)
                && !sight.seesMdev(caller, UUID.fromString(uuid))) {
            throw ProblemException.notFound("there is no mdev=" + uuid);
        }
    }
}
