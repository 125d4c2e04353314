package dev.mdev.host;

import static java.nio.charset.StandardCharsets.UTF_8;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.context.properties.ConfigurationPropertiesScan;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.Locale;
import java.util.Optional;

/// The host service's entry point.
@SpringBootApplication
@ConfigurationPropertiesScan
public class MdevHostApplication {
    /// Starts the service.
    ///
    /// @param args Spring's: `--server.port=8081`, `--mdev.drivers.gpu-sample.vram-mib=512`; or
    ///   `--help` or `--version`, which print and end
    public static void main(String[] args) throws IOException {
        Optional<String> answer = Usage.answerTo(args);
        if (answer.isPresent()) {
            try (OutputStream out = new FileOutputStream(FileDescriptor.out)) {
                out.write(answer.get().getBytes(UTF_8));
            }
            return;
        }
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
