package dev.mdev.gate;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.util.regex.Pattern;

/// Rules that only the text shows.
class SourceRulesTest {
    /// Has what the rules look for.
    private static final String SELF = "SourceRulesTest.java";

    private static final Pattern PAGE_SHIFT = Pattern.compile("(>>>?|<<)\\s*12\\b|0xfffL?\\b");
    private static final Pattern CONSOLE =
            Pattern.compile("\\bSystem\\.(out|err)\\b|printStackTrace");
    private static final Pattern SLEEP =
            Pattern.compile("\\bThread\\.sleep\\b|\\bTimeUnit\\.\\w+\\.sleep\\b");

    @Test
    void pageArithmeticIsOnlyInPage() {
        // The kernel's constants are bits, not page sizes.
        assertThat(
                        SourceLines.matching(PAGE_SHIFT, ModuleSources.main())
                                .filter(line -> !line.isIn("/page/Page.java", "Abi.java", SELF)))
                .isEmpty();
        assertThat(PAGE_SHIFT.matcher("long gfn = gpa >> 12;").find())
                .as("the rule knows such a line when it sees it")
                .isTrue();
    }

    @Test
    void nothingIsWrittenToTheConsole() {
        // A benchmark is a program whose output is its purpose.
        assertThat(
                        SourceLines.matching(CONSOLE, ModuleSources.main())
                                .filter(line -> !line.isIn("Bench.java", SELF)))
                .isEmpty();
    }

    @Test
    void nothingSleepsInPlaceOfASignal() {
        assertThat(SourceLines.matching(SLEEP, ModuleSources.main())).isEmpty();
    }
}
