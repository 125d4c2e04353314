package dev.mdev.host.web;

import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import org.springframework.core.DefaultParameterNameDiscoverer;
import org.springframework.core.MethodParameter;
import org.springframework.stereotype.Component;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.method.HandlerMethod;
import org.springframework.web.servlet.HandlerInterceptor;
import org.springframework.web.servlet.config.annotation.InterceptorRegistry;
import org.springframework.web.servlet.config.annotation.WebMvcConfigurer;

import java.lang.reflect.Method;
import java.util.Collection;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;

/// Refuses query parameters that the endpoint does not take, and those that say two things: a
/// misspelt `garce=30s` would end a device at once.
@Component
final class KnownParameters implements HandlerInterceptor, WebMvcConfigurer {
    /// After the check of the caller's rights.
    private static final int ORDER = 1;

    private static final DefaultParameterNameDiscoverer NAMES =
            new DefaultParameterNameDiscoverer();

    /// By endpoint: the parameters, and whether they take several values.
    private final Map<Method, Map<String, Boolean>> known = new ConcurrentHashMap<>();

    @Override
    public void addInterceptors(InterceptorRegistry registry) {
        registry.addInterceptor(this).order(ORDER);
    }

    @Override
    public boolean preHandle(
            HttpServletRequest request, HttpServletResponse response, Object handler) {
        if (handler instanceof HandlerMethod endpoint
                && request.getRequestURI().startsWith("/api/")) {
            Map<String, Boolean> taken =
                    known.computeIfAbsent(endpoint.getMethod(), KnownParameters::parametersOf);
            request.getParameterMap()
                    .forEach((name, values) -> require(taken, name, values.length));
        }
        return true;
    }

    private static Map<String, Boolean> parametersOf(Method method) {
        Map<String, Boolean> parameters = new TreeMap<>();
        for (int i = 0; i < method.getParameterCount(); i++) {
            MethodParameter parameter = new MethodParameter(method, i);
            RequestParam taken = parameter.getParameterAnnotation(RequestParam.class);
            if (taken != null) {
                parameter.initParameterNameDiscovery(NAMES);
                String name =
                        taken.name().isEmpty()
                                ? String.valueOf(parameter.getParameterName())
                                : taken.name();
                parameters.put(
                        name, Collection.class.isAssignableFrom(parameter.getParameterType()));
            }
        }
        return parameters;
    }

    private static void require(Map<String, Boolean> taken, String name, int count) {
        Boolean isList = taken.get(name);
        if (isList == null) {
            throw malformed(
                    taken.isEmpty()
                            ? "there is no parameter %s; this call takes none".formatted(name)
                            : "there is no parameter %s; this call takes %s"
                                    .formatted(name, String.join(", ", taken.keySet())));
        }
        if (count > 1 && !isList) {
            throw malformed("the parameter %s is there %d times".formatted(name, count));
        }
    }

    private static ProblemException malformed(String detail) {
        return new ProblemException(Problem.MALFORMED, detail);
    }
}
