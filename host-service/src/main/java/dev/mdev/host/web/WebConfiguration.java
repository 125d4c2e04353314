package dev.mdev.host.web;

import org.apache.catalina.core.StandardHost;
import org.springframework.boot.jackson.autoconfigure.JsonMapperBuilderCustomizer;
import org.springframework.boot.tomcat.servlet.TomcatServletWebServerFactory;
import org.springframework.boot.web.server.WebServerFactoryCustomizer;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

import tools.jackson.core.StreamReadFeature;
import tools.jackson.databind.cfg.CoercionAction;
import tools.jackson.databind.cfg.CoercionInputShape;
import tools.jackson.databind.type.LogicalType;

/// Sets Tomcat and the JSON reader up.
@Configuration(proxyBeanMethods = false)
class WebConfiguration {
    @Bean
    WebServerFactoryCustomizer<TomcatServletWebServerFactory> problemsFromTomcat() {
        return factory ->
                factory.addContextCustomizers(context -> {
                    if (context.getParent() instanceof StandardHost host) {
                        host.setErrorReportValveClass(ProblemValve.class.getName());
                    }
                });
    }

    /// A number is no string, and an object has a field once: whoever sends otherwise has made a
    /// mistake, and guessing would hide it.
    @Bean
    JsonMapperBuilderCustomizer strictJson() {
        return builder ->
                builder.enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                        .withCoercionConfig(
                                LogicalType.Textual,
                                config -> {
                                    config.setCoercion(
                                            CoercionInputShape.Integer, CoercionAction.Fail);
                                    config.setCoercion(
                                            CoercionInputShape.Float, CoercionAction.Fail);
                                    config.setCoercion(
                                            CoercionInputShape.Boolean, CoercionAction.Fail);
                                });
    }
}
