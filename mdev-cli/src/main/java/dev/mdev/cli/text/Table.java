package dev.mdev.cli.text;

import tools.jackson.databind.JsonNode;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// Items as rows, one line each.
public final class Table {
    private static final String GAP = "  ";

    private final List<Column> columns;
    private final boolean colours;

    /// @param colours whether the terminal shows colours
    public Table(List<Column> columns, boolean wide, boolean colours) {
        this.columns = columns.stream().filter(column -> wide || !column.wide()).toList();
        this.colours = colours;
    }

    /// The lines: the titles, then one line for each item. They are harmless to a terminal.
    public List<String> lines(List<JsonNode> items) {
        List<List<String>> rows = new ArrayList<>();
        rows.add(columns.stream().map(Column::title).toList());
        for (JsonNode item : items) {
            rows.add(
                    columns.stream()
                            .map(column -> Printable.of(column.value().apply(item)))
                            .toList());
        }
        int[] widths = new int[columns.size()];
        for (List<String> row : rows) {
            Arrays.setAll(widths, i -> Math.max(widths[i], width(row.get(i))));
        }
        List<String> lines = new ArrayList<>();
        for (int i = 0; i < rows.size(); i++) {
            lines.add(line(rows.get(i), widths, i > 0));
        }
        return lines;
    }

    private String line(List<String> row, int[] widths, boolean isItem) {
        StringBuilder line = new StringBuilder();
        for (int i = 0; i < row.size(); i++) {
            Column column = columns.get(i);
            String text = row.get(i);
            boolean last = i == row.size() - 1;
            int blanks = widths[i] - width(text);
            if (column.right()) {
                line.repeat(' ', blanks);
            }
            line.append(colours && isItem ? column.colour().apply(text).paint(text) : text);
            if (!last) {
                line.repeat(' ', column.right() ? 0 : blanks).append(GAP);
            }
        }
        return line.toString().stripTrailing();
    }

    private static int width(String text) {
        return text.codePointCount(0, text.length());
    }
}
