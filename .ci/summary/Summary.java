import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// Says what the last test run did: the tests of each module and of each run in the box, what
/// failed, what was skipped, and which test classes ran nowhere, with the reasons.
///
/// `java .ci/summary/Summary.java [--box npt=N] [FOLDER]` reads the reports of the checkout FOLDER,
/// or of the one it is called in; with `--box` only those of that run in the box. It fails if
///
/// - a test failed;
/// - a test was skipped, or a class ran nowhere, for a reason that no regular expression of
///   `.ci/allowed-skips` matches;
/// - a test class was compiled, but has no result;
/// - a report cannot be read, or nothing ran.
public final class Summary {
    /// @param suites the suites that have a report
    private record Run(String name, Set<String> suites, List<Report.Case> cases) {
        Stream<Report.Case> with(Report.Result result) {
            return cases.stream().filter(it -> it.result() == result);
        }

        /// The classes with a test that was not skipped.
        Set<String> ran() {
            return cases.stream()
                    .filter(it -> it.result() != Report.Result.SKIPPED)
                    .map(Report.Case::topLevelType)
                    .collect(Collectors.toSet());
        }

        long seconds() {
            return Math.round(cases.stream().mapToDouble(Report.Case::seconds).sum());
        }
    }

    private static final String ROW = "%-18s %6s %7s %8s %8s%n";
    private static final int MOST_NAMES = 5;
    private static final int MOST_SLOW = 25;

    private final Path folder;
    private final List<Pattern> allowed;
    private final List<Run> modules = new ArrayList<>();
    private final List<Run> box = new ArrayList<>();
    private final List<String> errors = new ArrayList<>();

    private Summary(Path folder) throws IOException {
        this.folder = folder;
        allowed = lines(".ci/allowed-skips").map(Pattern::compile).toList();
    }

    public static void main(String[] args) throws IOException {
        boolean onlyBox = args.length > 1 && args[0].equals("--box");
        int next = onlyBox ? 2 : 0;
        Summary summary = new Summary(Path.of(args.length > next ? args[next] : ""));
        if (onlyBox) {
            summary.readBox(args[1]);
        } else {
            summary.readAll();
        }
        summary.printRuns();
        summary.printSlowest();
        summary.runs().forEach(summary::addFailures);
        summary.printSkips();
        if (!onlyBox) {
            summary.printWhatRanNowhere();
        }
        System.exit(summary.printVerdict() ? 0 : 1);
    }

    private Stream<String> lines(String file) throws IOException {
        return Files.readAllLines(folder.resolve(file)).stream()
                .map(String::strip)
                .filter(line -> !line.isEmpty() && !line.startsWith("#"));
    }

    private void readAll() throws IOException {
        // Profiles, which come later, may have more; every build has these.
        String pom =
                Files.readString(folder.resolve("pom.xml")).replaceFirst("(?s)</modules>.*", "");
        List<String> names =
                Pattern.compile("<module>\\s*(.*?)\\s*</module>")
                        .matcher(pom)
                        .results()
                        .map(it -> it.group(1))
                        .toList();
        for (String name : names) {
            modules.add(read(name, folder.resolve(name).resolve("target/surefire-reports")));
        }
        for (String mode : List.of("npt=0", "npt=1")) {
            if (Files.isDirectory(folder.resolve("target/box").resolve(mode))) {
                readBox(mode);
            }
        }
    }

    private void readBox(String mode) throws IOException {
        Run run = read("box " + mode, folder.resolve("target/box").resolve(mode));
        box.add(run);
        if (run.ran().isEmpty()) {
            errors.add(run.name() + " has no results");
        }
    }

    private Run read(String name, Path reports) throws IOException {
        Run run = new Run(name, new HashSet<>(), new ArrayList<>());
        if (!Files.isDirectory(reports)) {
            return run;
        }
        try (Stream<Path> files = Files.list(reports)) {
            for (Path file : files.sorted().toList()) {
                if (file.getFileName().toString().matches("TEST-.*\\.xml")) {
                    try {
                        Report report = Report.read(file);
                        run.suites.add(report.suite());
                        run.cases.addAll(report.cases());
                    } catch (Report.Unreadable e) {
                        errors.add("a report cannot be read: " + e.getMessage());
                    }
                }
            }
        }
        return run;
    }

    private Stream<Run> runs() {
        return Stream.concat(modules.stream(), box.stream());
    }

    private void printRuns() {
        System.out.println();
        System.out.printf(ROW, "tests of", "all", "failed", "skipped", "seconds");
        runs().forEach(run -> {
            System.out.printf(
                    ROW,
                    run.name(),
                    run.cases().size(),
                    run.with(Report.Result.FAILED).count(),
                    run.with(Report.Result.SKIPPED).count(),
                    run.seconds());
        });
    }

    /// Where the time goes.
    private void printSlowest() {
        Map<String, Double> seconds = new TreeMap<>();
        for (Run run : runs().toList()) {
            for (Report.Case it : run.cases()) {
                seconds.merge(run.name() + ": " + it.topLevelType(), it.seconds(), Double::sum);
            }
        }
        System.out.printf("%nslowest classes, in seconds%n");
        seconds.entrySet().stream()
                .sorted(Map.Entry.<String, Double>comparingByValue().reversed())
                .limit(MOST_SLOW)
                .forEach(it -> System.out.printf("%8.0f  %s%n", it.getValue(), it.getKey()));
    }

    private void addFailures(Run run) {
        run.with(Report.Result.FAILED)
                .forEach(it ->
                        errors.add(
                                "%s: %s failed: %s"
                                        .formatted(run.name(), it.label(), it.reason())));
    }

    private boolean ranInTheBox(String type) {
        return box.stream().anyMatch(run -> run.ran().contains(type));
    }

    private Set<String> ranAnywhere() {
        return runs().flatMap(run -> run.ran().stream()).collect(Collectors.toSet());
    }

    /// The skipped tests of classes that ran. A class that ran in the box is judged there.
    private void printSkips() {
        Set<String> ran = ranAnywhere();
        Map<String, Set<String>> skipped = new TreeMap<>();
        for (Run run : runs().toList()) {
            run.with(Report.Result.SKIPPED)
                    .filter(it -> ran.contains(it.topLevelType()))
                    .filter(it -> box.contains(run) || !ranInTheBox(it.topLevelType()))
                    .forEach(it -> put(skipped, it.reason(), run.name() + ": " + it.label()));
        }
        printByReason("skipped", skipped, MOST_NAMES);
    }

    private void printWhatRanNowhere() throws IOException {
        TestClasses compiled = new TestClasses();
        for (Run module : modules) {
            compiled.addModule(module.name(), folder.resolve(module.name()).resolve("target"));
        }
        Map<String, String> classes = compiled.all();
        Set<String> ran = ranAnywhere();
        Map<String, Set<String>> nowhere = new TreeMap<>();
        classes.forEach((type, module) -> {
            if (!ran.contains(type)) {
                put(nowhere, reasonOf(type), type + " of " + module);
            }
        });
        printByReason("ran nowhere", nowhere, Integer.MAX_VALUE);
        for (Run run : box) {
            classes.keySet().stream()
                    .filter(it -> ranInTheBox(it) && !run.ran().contains(it))
                    .forEach(it -> errors.add("%s did not run %s".formatted(run.name(), it)));
        }
        long missing = nowhere.values().stream().mapToInt(Set::size).sum();
        System.out.printf(
                "%n%d test classes: %d ran, %d of them in the box, %d ran nowhere%n",
                classes.size(),
                classes.size() - missing,
                classes.keySet().stream().filter(this::ranInTheBox).count(),
                missing);
    }

    /// Why a class ran nowhere.
    private String reasonOf(String type) {
        String reason =
                runs().flatMap(run -> run.cases().stream())
                        .filter(it -> it.topLevelType().equals(type))
                        .map(Report.Case::reason)
                        .findFirst()
                        .orElseGet(() ->
                                runs().anyMatch(run -> run.suites().contains(type))
                                        ? "NO REASON: its report has no test"
                                        : "NO REASON: it has no report");
        return reason.startsWith("no kvm engine here") || reason.startsWith("runs only in the box")
                ? reason + whyNoBox()
                : reason;
    }

    private String whyNoBox() {
        try {
            return "; no box: "
                    + Files.readString(folder.resolve("target/box/unavailable")).strip();
        } catch (IOException e) {
            // It was not tried.
            return "";
        }
    }

    private static void put(Map<String, Set<String>> map, String reason, String name) {
        map.computeIfAbsent(reason, _ -> new TreeSet<>()).add(name);
    }

    private void printByReason(String what, Map<String, Set<String>> names, int most) {
        names.forEach((reason, of) -> {
            if (allowed.stream().anyMatch(it -> it.matcher(reason).find())) {
                print(what + ": " + reason, of, most);
            } else {
                String why = reason.isEmpty() ? "(no reason)" : reason;
                print(what + ", AND MAY NOT: " + why, of, Integer.MAX_VALUE);
                errors.add("%d %s, and may not: %s".formatted(of.size(), what, why));
            }
        });
    }

    private static void print(String title, Set<String> names, int most) {
        if (names.isEmpty()) {
            return;
        }
        System.out.printf("%n%s%n", title);
        names.stream().limit(most).forEach(it -> System.out.println("    " + it));
        if (names.size() > most) {
            System.out.println("    and " + (names.size() - most) + " more");
        }
    }

    private boolean printVerdict() {
        long passed = runs().flatMap(run -> run.with(Report.Result.PASSED)).count();
        if (passed == 0) {
            errors.add("no test passed");
        }
        if (!errors.isEmpty()) {
            System.out.println();
            errors.forEach(it -> System.out.println("ERROR: " + it));
        }
        long failed = runs().mapToLong(run -> run.with(Report.Result.FAILED).count()).sum();
        long skipped = runs().flatMap(run -> run.with(Report.Result.SKIPPED)).count();
        System.out.printf("%n%d passed, %d failed, %d skipped%n", passed, failed, skipped);
        return errors.isEmpty();
    }
}
