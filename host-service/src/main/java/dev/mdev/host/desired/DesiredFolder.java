package dev.mdev.host.desired;

import dev.mdev.api.MdevException;
import dev.mdev.host.access.Caller;
import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Problems;
import dev.mdev.host.problem.Violation;

import jakarta.validation.ConstraintViolation;
import jakarta.validation.Validator;

import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.context.event.ApplicationReadyEvent;
import org.springframework.context.event.EventListener;
import org.springframework.stereotype.Component;

import tools.jackson.core.JacksonException;
import tools.jackson.databind.json.JsonMapper;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// Applies the documents of a folder at the start, before the service is ready. A document that is
/// refused, and a step that fails, is in the log; the others are applied.
///
/// Any thread may call [#troubles].
@Component
public class DesiredFolder {
    private static final Logger log = LoggerFactory.getLogger(DesiredFolder.class);
    private static final String JSON = ".json";
    private static final Set<String> ENDS = Set.of(JSON, ".yaml", ".yml");
    private static final int MAX_BYTES = 1 << 20;

    /// The maximum number of documents; they are kept in memory.
    static final int MAX_DOCUMENTS = 256;

    private final DesiredProperties properties;
    private final DesiredService desired;
    private final YamlDocuments yaml;
    private final JsonMapper json;
    private final Validator validator;
    private volatile List<Document> documents = List.of();

    DesiredFolder(
            DesiredProperties properties,
            DesiredService desired,
            YamlDocuments yaml,
            JsonMapper json,
            Validator validator) {
        this.properties = properties;
        this.desired = desired;
        this.yaml = yaml;
        this.json = json;
        this.validator = validator;
    }

    /// A file, or the folder itself.
    private sealed interface Document {
        Path file();
    }

    private record Good(Path file, DesiredState wanted) implements Document {}

    private record Bad(Path file, String why) implements Document {}

    /// The documents that were refused at the start, and what is not as the others say now.
    public List<String> troubles() {
        return documents.stream()
                .flatMap(document ->
                        switch (document) {
                            case Bad it ->
                                    Stream.of("%s is refused: %s".formatted(it.file, it.why));
                            case Good it ->
                                    desired.difference(it.wanted).stream()
                                            .map(what -> "%s: %s".formatted(it.file, what));
                        })
                .toList();
    }

    @EventListener(ApplicationReadyEvent.class)
    void applyAll() {
        Path folder = properties.dir();
        if (folder != null) {
            Caller.asService(() -> {
                documents = withoutRivals(read(folder));
                documents.forEach(this::apply);
            });
        }
    }

    private List<Document> read(Path folder) {
        List<Path> files;
        try (Stream<Path> entries = Files.list(folder)) {
            files =
                    entries.filter(file ->
                                    ENDS.stream().anyMatch(end -> file.toString().endsWith(end)))
                            .sorted()
                            .toList();
        } catch (IOException | UncheckedIOException e) {
            return List.of(new Bad(folder, e.toString()));
        }
        return files.size() > MAX_DOCUMENTS
                ? List.of(
                        new Bad(
                                folder,
                                "it has %d documents, at most %d are possible"
                                        .formatted(files.size(), MAX_DOCUMENTS)))
                : files.stream().map(this::document).toList();
    }

    private Document document(Path file) {
        try {
            byte[] text = bytesOf(file);
            DesiredState wanted = file.toString().endsWith(JSON) ? parse(text) : yaml.parse(text);
            String violations =
                    validator.validate(wanted).stream()
                            .map(DesiredFolder::words)
                            .sorted()
                            .collect(Collectors.joining("; "));
            if (!violations.isEmpty()) {
                return new Bad(file, violations);
            }
            wanted.requireSense();
            return new Good(file, wanted);
        } catch (ProblemException e) {
            return new Bad(file, words(e));
        } catch (JacksonException e) {
            return new Bad(file, Problems.wordsOf(e));
        } catch (IOException e) {
            return new Bad(file, e.toString());
        }
    }

    private DesiredState parse(byte[] text) {
        @Nullable DesiredState wanted = json.readValue(text, DesiredState.class);
        if (wanted == null) {
            throw new ProblemException(Problem.MALFORMED, "it is empty");
        }
        return wanted;
    }

    private static String words(ConstraintViolation<?> violation) {
        return violation.getPropertyPath() + ": " + violation.getMessage();
    }

    private static String words(ProblemException e) {
        return e.violations().isEmpty()
                ? e.getMessage()
                : e.violations().stream()
                        .map(DesiredFolder::words)
                        .collect(Collectors.joining("; "));
    }

    private static String words(Violation violation) {
        return violation.pointer() + ": " + violation.detail();
    }

    /// A pipe would hold up the start, and a file without end would fill the memory. A link may
    /// lead to a file: so Kubernetes mounts them.
    private static byte[] bytesOf(Path file) throws IOException {
        if (!Files.isRegularFile(file)) {
            throw new ProblemException(Problem.MALFORMED, "it is no file");
        }
        try (InputStream in = Files.newInputStream(file)) {
            byte[] bytes = in.readNBytes(MAX_BYTES + 1);
            if (bytes.length > MAX_BYTES) {
                throw new ProblemException(
                        Problem.CONTENT_TOO_LARGE,
                        "it has more than %d bytes".formatted(MAX_BYTES));
            }
            return bytes;
        }
    }

    /// Two documents of one manager, of which one prunes, would remove what the other made.
    private static List<Document> withoutRivals(List<Document> all) {
        Map<String, List<DesiredState>> byManager =
                all.stream()
                        .flatMap(it -> Stream.ofNullable(wantedOf(it)))
                        .collect(Collectors.groupingBy(DesiredState::manager));
        return all.stream()
                .map(it -> {
                    DesiredState wanted = wantedOf(it);
                    List<DesiredState> same =
                            wanted == null
                                    ? List.of()
                                    : byManager.getOrDefault(wanted.manager(), List.of());
                    return same.size() > 1 && same.stream().anyMatch(DesiredState::prunes)
                            ? new Bad(
                                    it.file(),
                                    "another document here has this manager, and one of them"
                                            + " prunes")
                            : it;
                })
                .toList();
    }

    private static @Nullable DesiredState wantedOf(Document document) {
        return switch (document) {
            case Good it -> it.wanted;
            case Bad _ -> null;
        };
    }

    private void apply(Document document) {
        switch (document) {
            case Bad it -> log.error("{} is refused: {}", it.file, it.why);
            case Good it -> apply(it);
        }
    }

    private void apply(Good document) {
        try {
            ApplyReport report = desired.apply(document.wanted);
            report.steps().forEach(step -> tell(document.file, step));
            log.info("{} is applied: met={}", document.file, report.met());
        } catch (ProblemException | MdevException e) {
            log.error("{} is not applied: {}", document.file, e.getMessage());
        }
    }

    private static void tell(Path file, ApplyReport.Done step) {
        if (step.done()) {
            log.info("{}: {} {} {}", file, step.action(), step.subject(), step.detail());
        } else {
            log.warn(
                    "{}: {} {} failed: {}: {}",
                    file,
                    step.action(),
                    step.subject(),
                    step.code(),
                    step.reason());
        }
    }
}
