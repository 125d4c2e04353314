package dev.mdev.host.web;

import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.boot.info.BuildProperties;
import org.springframework.boot.info.GitProperties;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestMethod;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.servlet.mvc.method.RequestMappingInfo;
import org.springframework.web.servlet.mvc.method.annotation.RequestMappingHandlerMapping;

import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// `/api/v1`: where a client begins.
@RestController
class RootController {
    private static final String ROOT = "/api/v1";
    private static final Pattern CHILD = Pattern.compile(ROOT + "/([a-z-]+)");

    private final ObjectProvider<RequestMappingHandlerMapping> mapping;
    private final @Nullable BuildProperties build;
    private final @Nullable GitProperties commit;

    RootController(
            @Qualifier("requestMappingHandlerMapping")
                    ObjectProvider<RequestMappingHandlerMapping> mapping,
            ObjectProvider<BuildProperties> build,
            ObjectProvider<GitProperties> commit) {
        this.mapping = mapping;
        this.build = build.getIfAvailable();
        this.commit = commit.getIfAvailable();
    }

    /// @param version the service's version; absent in a build without one
    /// @param commit what it was built from; absent if it was not built in a repository
    /// @param links the paths of lists and other entries, by name
    record Root(
            @Nullable String version, @Nullable String commit, SortedMap<String, String> links) {}

    /// The entries of the interface, and what serves it.
    @GetMapping(ROOT)
    Root read() {
        SortedMap<String, String> links = new TreeMap<>();
        mapping.getObject().getHandlerMethods().keySet().forEach(it -> addTo(links, it));
        return new Root(
                build == null ? null : build.getVersion(),
                commit == null ? null : commit.getShortCommitId(),
                links);
    }

    private static void addTo(SortedMap<String, String> links, RequestMappingInfo endpoint) {
        if (endpoint.getMethodsCondition().getMethods().contains(RequestMethod.GET)) {
            for (String path : endpoint.getPatternValues()) {
                Matcher child = CHILD.matcher(path);
                if (child.matches()) {
                    links.put(child.group(1), path);
                }
            }
        }
    }
}
