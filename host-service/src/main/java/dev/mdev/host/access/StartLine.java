package dev.mdev.host.access;

import dev.mdev.core.engine.Engine;
import dev.mdev.host.bus.BusProperties;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.context.event.ApplicationReadyEvent;
import org.springframework.boot.web.server.context.WebServerApplicationContext;
import org.springframework.context.event.EventListener;
import org.springframework.core.env.Environment;
import org.springframework.stereotype.Component;

/// Says in one line what has started: the first question of an operator who reads a log.
@Component
final class StartLine {
    private static final Logger log = LoggerFactory.getLogger(StartLine.class);

    private final Engine engine;
    private final BusProperties properties;
    private final Environment environment;
    private final AccessPolicy policy;

    StartLine(
            Engine engine, BusProperties properties, Environment environment, AccessPolicy policy) {
        this.engine = engine;
        this.properties = properties;
        this.environment = environment;
        this.policy = policy;
    }

    @EventListener
    void ready(ApplicationReadyEvent event) {
        String version = StartLine.class.getPackage().getImplementationVersion();
        log.info(
                "mdev-host {} is ready: engine={}, state in {}, at {}:{}, {}",
                version == null ? "of a build without a version" : version,
                engine.name(),
                properties.stateDir() == null
                        ? "memory (nothing is remembered)"
                        : properties.stateDir().toAbsolutePath(),
                environment.getProperty("server.address", "all addresses"),
                event.getApplicationContext() instanceof WebServerApplicationContext web
                                && web.getWebServer() != null
                        ? web.getWebServer().getPort()
                        : "no port",
                policy.description());
    }
}
