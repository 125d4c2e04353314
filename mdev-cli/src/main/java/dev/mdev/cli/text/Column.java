package dev.mdev.cli.text;

import tools.jackson.databind.JsonNode;

import java.util.function.Function;

/// A column of a table.
///
/// @param value what it shows of an item
/// @param right whether it ends at its right edge, as numbers do
/// @param wide whether only wide tables have it
/// @param colour the colour of a value
public record Column(
        String title,
        Function<JsonNode, String> value,
        boolean right,
        boolean wide,
        Function<String, Colour> colour) {

    /// A column with a field of the items.
    ///
    /// @param pointer a JSON pointer
    public static Column of(String title, String pointer) {
        return of(title, item -> Fields.text(item, pointer));
    }

    public static Column of(String title, Function<JsonNode, String> value) {
        return new Column(title, value, false, false, _ -> Colour.PLAIN);
    }

    /// The same at the right edge.
    public Column atRight() {
        return new Column(title, value, true, wide, colour);
    }

    /// The same for wide tables only.
    public Column ifWide() {
        return new Column(title, value, right, true, colour);
    }

    /// The same in colours.
    public Column in(Function<String, Colour> colours) {
        return new Column(title, value, right, wide, colours);
    }
}
