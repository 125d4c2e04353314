package dev.mdev.pcisplit.description;

import dev.mdev.api.page.Page;

import org.yaml.snakeyaml.nodes.MappingNode;
import org.yaml.snakeyaml.nodes.Node;
import org.yaml.snakeyaml.nodes.NodeTuple;
import org.yaml.snakeyaml.nodes.ScalarNode;
import org.yaml.snakeyaml.nodes.SequenceNode;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/// The fields of one mapping of a YAML file. Each mistake is noted with its line, and reading goes
/// on with a value that keeps later code from failing; [#end] notes the fields that nothing asked
/// for.
final class Fields {
    private static final int MOST_ENTRIES = 1024;

    private final Mistakes mistakes;
    private final Node node;
    private final String path;
    private final Map<String, Node> fields = new LinkedHashMap<>();
    private final Set<String> asked = new HashSet<>();

    /// @param path the place in the file, such as `pools.vram`; empty for the whole
    Fields(Mistakes mistakes, Node node, String path) {
        this.mistakes = mistakes;
        this.node = node;
        this.path = path;
        if (!(node instanceof MappingNode mapping)) {
            mistakes.add(node, (path.isEmpty() ? "the file" : path) + " is no mapping");
            return;
        }
        if (mapping.getValue().size() > MOST_ENTRIES) {
            mistakes.add(node, path + " has more than " + MOST_ENTRIES + " entries");
            return;
        }
        for (NodeTuple entry : mapping.getValue()) {
            if (!(entry.getKeyNode() instanceof ScalarNode key)) {
                mistakes.add(entry.getKeyNode(), "a key is no word");
            } else if (fields.put(key.getValue(), entry.getValueNode()) != null) {
                mistakes.add(key, at(key.getValue()) + " is given twice");
            }
        }
    }

    /// A mapping that is not there.
    private Fields(String path, Mistakes mistakes, Node around) {
        this.mistakes = mistakes;
        this.node = around;
        this.path = path;
    }

    private String at(String key) {
        return path.isEmpty() ? key : path + "." + key;
    }

    /// Notes a mistake in this mapping.
    void mistake(String what) {
        mistakes.add(node, path + " " + what);
    }

    /// Notes a mistake in a field.
    void mistake(String key, String what) {
        mistakes.add(fields.getOrDefault(key, node), at(key) + " " + what);
    }

    boolean has(String key) {
        return fields.containsKey(key);
    }

    /// Notes fields that this format does not have.
    void end() {
        fields.forEach((key, value) -> {
            if (!asked.contains(key)) {
                mistakes.add(value, at(key) + " is not a field of this format");
            }
        });
    }

    /// The keys, for a mapping whose keys are names.
    List<String> keys() {
        asked.addAll(fields.keySet());
        return List.copyOf(fields.keySet());
    }

    private Optional<Node> find(String key) {
        asked.add(key);
        return Optional.ofNullable(fields.get(key));
    }

    private void missing(String key) {
        mistakes.add(node, at(key) + " is missing");
    }

    /// A text that must be there.
    String text(String key, Pattern form) {
        if (!has(key)) {
            asked.add(key);
            missing(key);
        }
        return text(key, form, "");
    }

    String text(String key, Pattern form, String preset) {
        Optional<Node> found = find(key);
        if (found.isEmpty()) {
            return preset;
        }
        if (found.get() instanceof ScalarNode scalar && form.matcher(scalar.getValue()).matches()) {
            return scalar.getValue();
        }
        mistake(key, "is not of the form " + form);
        return preset;
    }

    /// Whether a field is this word.
    boolean isText(String key, String word) {
        return find(key)
                .filter(found ->
                        found instanceof ScalarNode scalar && scalar.getValue().equals(word))
                .isPresent();
    }

    boolean flag(String key) {
        return text(key, Pattern.compile("true|false"), "false").equals("true");
    }

    /// A number that must be there: decimal, with `0x`, or of bytes with KiB, MiB or GiB.
    long number(String key, long least, long most) {
        if (!has(key)) {
            asked.add(key);
            missing(key);
        }
        return number(key, least, most, least);
    }

    long number(String key, long least, long most, long preset) {
        Optional<Node> found = find(key);
        if (found.isEmpty()) {
            return preset;
        }
        if (found.get() instanceof ScalarNode scalar) {
            Optional<Long> value = Numbers.parse(scalar.getValue());
            if (value.isPresent() && value.get() >= least && value.get() <= most) {
                return value.get();
            }
        }
        mistake(
                key,
                "is not a number from %s to %s".formatted(Numbers.hex(least), Numbers.hex(most)));
        return least;
    }

    /// A number of bytes that is a whole number of pages.
    long pages(String key, long least, long most, long preset) {
        long value = number(key, least, most, preset);
        if (!Page.isAligned(value)) {
            mistake(key, "is not a multiple of the page size");
            return least;
        }
        return value;
    }

    /// A mapping; empty if it is not there.
    Fields map(String key) {
        return find(key)
                .map(found -> new Fields(mistakes, found, at(key)))
                .orElseGet(() -> new Fields(at(key), mistakes, node));
    }

    /// A list of mappings; empty if it is not there.
    List<Fields> items(String key) {
        List<Fields> items = new ArrayList<>();
        nodes(key)
                .forEach(item ->
                        items.add(new Fields(mistakes, item, at(key) + "[" + items.size() + "]")));
        return items;
    }

    private List<Node> nodes(String key) {
        Optional<Node> found = find(key);
        if (found.isEmpty()) {
            return List.of();
        }
        if (!(found.get() instanceof SequenceNode list)) {
            mistake(key, "is no list");
            return List.of();
        }
        if (list.getValue().size() > MOST_ENTRIES) {
            mistake(key, "has more than " + MOST_ENTRIES + " entries");
            return List.of();
        }
        return list.getValue();
    }
}
