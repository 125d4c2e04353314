package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// The links in the documents lead to files and headings that are there.
class LinksTest {
    private static final Path ROOT = Path.of("..");
    private static final Pattern HEADING = Pattern.compile("(?m)^#{1,6} (.*)$");
    private static final Pattern LINK = Pattern.compile("]\\(([^)\\s]+)\\)");
    private static final Pattern ELSEWHERE = Pattern.compile("[a-z]+:.*");

    private static List<Path> documents() throws IOException {
        List<Path> found = new ArrayList<>();
        for (Path folder : List.of(ROOT, ROOT.resolve("docs"))) {
            try (Stream<Path> files = Files.list(folder)) {
                files.filter(file -> file.toString().endsWith(".md")).forEach(found::add);
            }
        }
        return found;
    }

    /// The text without commands and their output.
    private static String prose(Path document) throws IOException {
        StringBuilder prose = new StringBuilder();
        boolean isCode = false;
        for (String line : Files.readAllLines(document)) {
            if (line.startsWith("```")) {
                isCode = !isCode;
            } else if (!isCode && !line.startsWith("    ")) {
                prose.append(line).append('\n');
            }
        }
        return prose.toString();
    }

    /// The names by which links reach the headings, as the hosts of repositories make them.
    private static Set<String> anchors(Path document) throws IOException {
        Map<String, Integer> times = new HashMap<>();
        Set<String> anchors = new TreeSet<>();
        HEADING.matcher(prose(document))
                .results()
                .map(heading -> anchor(heading.group(1)))
                .forEach(anchor -> {
                    int before = times.merge(anchor, 1, Integer::sum) - 1;
                    anchors.add(before == 0 ? anchor : anchor + "-" + before);
                });
        return anchors;
    }

    private static String anchor(String heading) {
        return heading.strip()
                .replaceAll("\\[([^]]*)]\\([^)]*\\)", "$1")
                .toLowerCase(Locale.ROOT)
                .codePoints()
                .filter(one -> Character.isLetterOrDigit(one) || " -_".indexOf(one) >= 0)
                .mapToObj(Character::toString)
                .collect(Collectors.joining())
                .replace(' ', '-');
    }

    private static boolean leadsSomewhere(Path document, String link) throws IOException {
        int hash = link.indexOf('#');
        String file = hash < 0 ? link : link.substring(0, hash);
        Path target = file.isEmpty() ? document : document.resolveSibling(file).normalize();
        return Files.exists(target)
                && (hash < 0
                        || !target.toString().endsWith(".md")
                        || anchors(target).contains(link.substring(hash + 1)));
    }

    @Test
    void eachLeadsSomewhere() throws IOException {
        List<String> lost = new ArrayList<>();
        int count = 0;
        for (Path document : documents()) {
            for (String link :
                    LINK.matcher(prose(document)).results().map(it -> it.group(1)).toList()) {
                if (!ELSEWHERE.matcher(link).matches()) {
                    count++;
                    if (!leadsSomewhere(document, link)) {
                        lost.add(document.getFileName() + ": " + link);
                    }
                }
            }
        }
        assertThat(lost).isEmpty();
        assertThat(count).isGreaterThan(100);
    }

    @Test
    void aLostLinkIsSeen() throws IOException {
        Path guide = ROOT.resolve("docs").resolve("operators-guide.md");
        assertThat(leadsSomewhere(guide, "faq.md")).isTrue();
        assertThat(leadsSomewhere(guide, "../README.md#what-the-build-needs")).isTrue();
        assertThat(leadsSomewhere(guide, "#no-such-heading")).isFalse();
        assertThat(leadsSomewhere(guide, "no-such-file.md")).isFalse();
    }
}
