package dev.mdev.gate;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import java.util.regex.Pattern;

/// Rules that only the text shows.
class SourceRulesTest {
    private static final Pattern PAGE_SHIFT = Pattern.compile("(>>>?|<<)\\s*12\\b|0xfffL?\\b");
    private static final Pattern CONSOLE =
            Pattern.compile("\\bSystem\\.(out|err)\\b|printStackTrace");
    private static final Pattern SLEEP =
            Pattern.compile("\\bThread\\.sleep\\b|\\bTimeUnit\\.\\w+\\.sleep\\b");
    private static final Pattern HOST_ADDRESSES =
            Pattern.compile("(?i)\\b(gfn|hva)\\b|\\b(gfn|hva)[A-Z]|[a-z](Gfn|Hva)\\b");

    @Test
    void pageArithmeticIsOnlyInPage() {
        // The kernel's constants are bits, not page sizes.
        Predicate<String> isChecked =
                name -> !name.endsWith("/page/Page.java") && !name.endsWith("Abi.java");
        assertThat(linesOf(Sources.main(), PAGE_SHIFT, isChecked)).isEmpty();
        assertThat(PAGE_SHIFT.matcher("long gfn = gpa >> 12;").find())
                .as("the rule knows such a line when it sees it")
                .isTrue();
    }

    @Test
    void nothingIsWrittenToTheConsole() {
        assertThat(linesOf(Sources.main(), CONSOLE, _ -> true)).isEmpty();
    }

    @Test
    void nothingSleepsInPlaceOfASignal() {
        assertThat(linesOf(Sources.main(), SLEEP, _ -> true)).isEmpty();
    }

    @Test
    void theDriverInterfaceKnowsNoHostAddresses() {
        List<Path> files = Sources.under("mdev-api/src/main/java");
        assertThat(files).as("files of the driver interface").hasSizeGreaterThan(15);
        assertThat(linesOf(files, HOST_ADDRESSES, _ -> true)).isEmpty();
    }

    /// The lines of code that match, with their places. Comments do not count.
    private static List<String> linesOf(
            List<Path> files, Pattern pattern, Predicate<String> isChecked) {
        assertThat(files).isNotEmpty();
        List<String> found = new ArrayList<>();
        for (Path file : files) {
            String name = Sources.nameOf(file);
            if (!isChecked.test(name)) {
                continue;
            }
            List<String> lines = Sources.read(file).lines().toList();
            for (int i = 0; i < lines.size(); i++) {
                if (pattern.matcher(withoutComment(lines.get(i))).find()) {
                    found.add("%s:%d: %s".formatted(name, i + 1, lines.get(i).strip()));
                }
            }
        }
        return found;
    }

    private static String withoutComment(String line) {
        int comment = line.indexOf("//");
        return comment < 0 ? line : line.substring(0, comment);
    }
}
