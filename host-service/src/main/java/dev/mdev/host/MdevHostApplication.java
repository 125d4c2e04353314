package dev.mdev.host;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.context.properties.ConfigurationPropertiesScan;

import java.util.Locale;

/// The host service's entry point.
@SpringBootApplication
@ConfigurationPropertiesScan
public class MdevHostApplication {
    /// Starts the service.
    ///
    /// @param args Spring's: `--server.port=8081`, `--mdev.drivers.gpu-sample.vram-mib=512`
    public static void main(String[] args) {
        run(args, MdevHostApplication.class);
    }

    /// Starts the service with further beans.
    static void run(String[] args, Class<?>... sources) {
        // Words of the API and of the log are the same everywhere: in Turkish, the small letter of
        // `I` is another one.
        Locale.setDefault(Locale.ROOT);
        SpringApplication.run(sources, args);
    }
}
