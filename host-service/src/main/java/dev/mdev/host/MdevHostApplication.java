package dev.mdev.host;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.context.properties.ConfigurationPropertiesScan;

/// The host service's entry point.
@SpringBootApplication
@ConfigurationPropertiesScan
public class MdevHostApplication {
    /// Starts the service.
    ///
    /// @param args Spring's: `--server.port=8081`, `--mdev.drivers.gpu-sample.vram-mib=512`
    public static void main(String[] args) {
        SpringApplication.run(MdevHostApplication.class, args);
    }
}
