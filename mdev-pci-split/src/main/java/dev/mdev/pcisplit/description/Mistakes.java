package dev.mdev.pcisplit.description;

import org.yaml.snakeyaml.nodes.Node;

import java.util.ArrayList;
import java.util.List;

/// All that is wrong with a description, in the order of its discovery, bounded.
public final class Mistakes {
    private static final int MOST = 50;

    private final List<String> found = new ArrayList<>();
    private int more;

    /// Notes a mistake at a place of the file.
    void add(Node node, String what) {
        add("line " + (node.getStartMark().getLine() + 1) + ": " + what);
    }

    /// Notes a mistake.
    public void add(String what) {
        if (found.size() < MOST) {
            found.add(what);
        } else {
            more++;
        }
    }

    /// Notes a mistake unless something holds.
    public void require(boolean holds, String otherwise) {
        if (!holds) {
            add(otherwise);
        }
    }

    public boolean isEmpty() {
        return found.isEmpty();
    }

    /// The mistakes, separated by semicolons.
    @Override
    public String toString() {
        return String.join("; ", found) + (more == 0 ? "" : "; and " + more + " more");
    }
}
