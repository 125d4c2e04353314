import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Stream;

import javax.xml.parsers.DocumentBuilder;
import javax.xml.parsers.DocumentBuilderFactory;

/**
 * Says what the last test run did: tests of each module, and each skipped test with its reason.
 *
 * <p>Usage: {@code java .ci/Summary.java ALLOWED}. The file ALLOWED has one regular expression a
 * line; a skip whose reason matches none of them is an error, as is a module without any test.
 * Written for Java 17, which may be all that a build machine has on its path.
 */
public final class Summary {
    private static final List<String> MODULES =
            List.of("mdev-api", "mdev-core", "gpu-sample-driver", "host-service");

    private final List<Pattern> allowed = new ArrayList<>();
    private final TreeMap<String, List<String>> skips = new TreeMap<>();
    private boolean good = true;

    public static void main(String[] args) throws Exception {
        Summary summary = new Summary();
        for (String line : Files.readAllLines(Path.of(args[0]))) {
            if (!line.isBlank() && !line.startsWith("#")) {
                summary.allowed.add(Pattern.compile(line.strip()));
            }
        }
        System.out.println();
        System.out.println("module                tests  failed  skipped  seconds");
        for (String module : MODULES) {
            summary.add(module);
        }
        summary.printSkips();
        System.exit(summary.good ? 0 : 1);
    }

    private void add(String module) throws Exception {
        int tests = 0;
        int failed = 0;
        int skipped = 0;
        double seconds = 0;
        DocumentBuilder parser = DocumentBuilderFactory.newInstance().newDocumentBuilder();
        for (File report : reports(module)) {
            Element suite = parser.parse(report).getDocumentElement();
            tests += number(suite, "tests");
            failed += number(suite, "failures") + number(suite, "errors");
            skipped += number(suite, "skipped");
            seconds += Double.parseDouble(suite.getAttribute("time").replace(",", ""));
            collectSkips(suite);
        }
        System.out.printf("%-20s %6d %7d %8d %8.0f%n", module, tests, failed, skipped, seconds);
        if (tests == 0 || failed > 0) {
            good = false;
        }
    }

    private static List<File> reports(String module) throws IOException {
        Path folder = Path.of(module, "target", "surefire-reports");
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(file -> file.getFileName().toString().matches("TEST-.*\\.xml"))
                    .sorted()
                    .map(Path::toFile)
                    .toList();
        }
    }

    private static int number(Element element, String name) {
        return Integer.parseInt(element.getAttribute(name));
    }

    private void collectSkips(Element suite) {
        NodeList cases = suite.getElementsByTagName("testcase");
        for (int i = 0; i < cases.getLength(); i++) {
            Element test = (Element) cases.item(i);
            NodeList skipped = test.getElementsByTagName("skipped");
            if (skipped.getLength() > 0) {
                String reason = ((Element) skipped.item(0)).getAttribute("message").strip();
                String type = test.getAttribute("classname");
                String name = test.getAttribute("name");
                skips.computeIfAbsent(reason, key -> new ArrayList<>())
                        .add(type.substring(type.lastIndexOf('.') + 1) + "." + name);
            }
        }
    }

    private void printSkips() {
        skips.forEach((reason, tests) -> {
            boolean known = allowed.stream().anyMatch(it -> it.matcher(reason).find());
            good &= known;
            System.out.printf(
                    "%n%s: %s%n",
                    known ? "skipped" : "SKIPPED FOR A REASON THAT IS NOT LISTED",
                    reason.isEmpty() ? "(no reason)" : reason);
            tests.stream().limit(5).forEach(test -> System.out.println("    " + test));
            if (tests.size() > 5) {
                System.out.println("    and " + (tests.size() - 5) + " more");
            }
        });
    }
}
