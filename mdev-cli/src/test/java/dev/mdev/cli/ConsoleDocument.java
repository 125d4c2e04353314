package dev.mdev.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.function.Consumer;

/// The commands in the console blocks of a document, with what they print.
final class ConsoleDocument {
    private final Path file;
    private final String fence;

    /// A command, and its output as documented.
    record Step(String command, String output) {}

    /// @param language the language of the blocks
    ConsoleDocument(Path file, String language) {
        this.file = file;
        this.fence = "```" + language;
    }

    List<Step> steps() throws IOException {
        List<Step> steps = new ArrayList<>();
        walk(_ -> {}, steps::add);
        return steps;
    }

    /// Replaces the outputs.
    ///
    /// @param outputs one for each step
    void rewrite(List<String> outputs) throws IOException {
        Iterator<String> next = outputs.iterator();
        List<String> lines = new ArrayList<>();
        walk(
                lines::add,
                step -> {
                    lines.add("$ " + step.command);
                    String output = next.next();
                    if (!output.isEmpty()) {
                        lines.add(output);
                    }
                });
        Files.writeString(file, String.join("\n", lines) + "\n");
    }

    private void walk(Consumer<String> onText, Consumer<Step> onStep) throws IOException {
        boolean inside = false;
        String command = "";
        List<String> output = new ArrayList<>();
        for (String line : Files.readAllLines(file)) {
            boolean ends = line.startsWith("```");
            if (inside && (ends || line.startsWith("$ "))) {
                if (!command.isEmpty()) {
                    onStep.accept(new Step(command, String.join("\n", output)));
                }
                output = new ArrayList<>();
                command = "";
            }
            if (ends) {
                inside = line.equals(fence);
                onText.accept(line);
            } else if (inside && line.startsWith("$ ")) {
                command = line.substring(2);
            } else if (inside) {
                output.add(line);
            } else {
                onText.accept(line);
            }
        }
    }
}
