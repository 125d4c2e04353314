package dev.mdev.gate;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.googlejavaformat.java.Formatter;
import com.google.googlejavaformat.java.FormatterException;
import com.google.googlejavaformat.java.JavaFormatterOptions;

import org.junit.jupiter.api.Test;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;

/// Every Java file of the module is as google-java-format (AOSP style) writes it.
class FormatTest {
    private static final String HOW_TO_FIX =
            "to format them: mvn -B -ntp test -Pfast -Dmdev.format=fix -Dtest=FormatTest"
                    + " -Dsurefire.failIfNoSpecifiedTests=false";

    private final Formatter formatter =
            new Formatter(
                    JavaFormatterOptions.builder().style(JavaFormatterOptions.Style.AOSP).build());

    @Test
    void everyFileIsFormatted() {
        List<Path> files = ModuleSources.all();
        assertThat(files).as("Java files found").isNotEmpty();
        boolean fix = Objects.equals(System.getProperty("mdev.format"), "fix");
        List<String> unformatted =
                files.parallelStream()
                        .filter(file -> !isFormatted(file, fix))
                        .map(ModuleSources::nameOf)
                        .toList();
        assertThat(unformatted).as("files that are not formatted; %s", HOW_TO_FIX).isEmpty();
    }

    private boolean isFormatted(Path file, boolean fix) {
        String source = ModuleSources.read(file);
        try {
            String formatted = formatter.formatSourceAndFixImports(source);
            if (formatted.equals(source)) {
                return true;
            }
            if (fix) {
                Files.writeString(file, formatted);
            }
            return fix;
        } catch (FormatterException | IOException e) {
            throw new AssertionError(ModuleSources.nameOf(file), e);
        }
    }
}
