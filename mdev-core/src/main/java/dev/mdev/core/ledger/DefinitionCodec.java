package dev.mdev.core.ledger;

import dev.mdev.api.Attribute;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.store.JournalLine;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.zip.CRC32C;

/// The file form of a definition: two lines, of which the second is the CRC-32C of the first with
/// its end-of-line character.
///
/// ```
/// mdev-definition version=1 uuid=... parent=gpu0 type=gpu-256m start=auto
/// crc32c value=1a2b3c4d
/// ```
///
/// A definition with attributes has version 2, and a value `attributes`: lines of `name=value`. An
/// older program refuses it as a whole.
final class DefinitionCodec {
    private static final String KIND = "mdev-definition";
    private static final String CHECK = "crc32c";
    private static final String PLAIN = "1";
    private static final String WITH_ATTRIBUTES = "2";

    /// Whether a device starts with its parent.
    private enum Start {
        AUTO,
        MANUAL
    }

    private DefinitionCodec() {}

    static byte[] encode(MdevDefinition definition) {
        Start start = definition.autostart() ? Start.AUTO : Start.MANUAL;
        boolean plain = definition.attributes().isEmpty();
        JournalLine fields =
                JournalLine.of(KIND)
                        .with("version", plain ? PLAIN : WITH_ATTRIBUTES)
                        .with("uuid", definition.uuid())
                        .with("parent", definition.parent())
                        .with("type", definition.type())
                        .with("start", JournalLine.wordOf(start));
        String first =
                (plain ? fields : fields.with("attributes", linesOf(definition.attributes())))
                                .encode()
                        + "\n";
        return (first + checkOf(first)).getBytes(StandardCharsets.ISO_8859_1);
    }

    /// Names have no `=`, and neither names nor values have an end of line.
    private static String linesOf(List<Attribute> attributes) {
        StringBuilder lines = new StringBuilder();
        attributes.forEach(
                one -> lines.append(one.name()).append('=').append(one.value()).append('\n'));
        return lines.toString();
    }

    private static List<Attribute> attributes(String lines) {
        if (!lines.endsWith("\n")) {
            throw new MdevException(Errno.EINVAL, "the attributes have no end");
        }
        return Arrays.stream(lines.substring(0, lines.length() - 1).split("\n", -1))
                .map(DefinitionCodec::attribute)
                .toList();
    }

    private static Attribute attribute(String line) {
        int equals = line.indexOf('=');
        if (equals < 0) {
            throw new MdevException(Errno.EINVAL, "an attribute has no value: " + line);
        }
        return new Attribute(line.substring(0, equals), line.substring(equals + 1));
    }

    private static String checkOf(String first) {
        CRC32C crc = new CRC32C();
        crc.update(first.getBytes(StandardCharsets.ISO_8859_1));
        return JournalLine.of(CHECK).with("value", "%08x".formatted(crc.getValue())).encode()
                + "\n";
    }

    /// @throws MdevException EINVAL with the reason
    static MdevDefinition decode(byte[] content) {
        String text = new String(content, StandardCharsets.ISO_8859_1);
        int firstEnd = text.indexOf('\n') + 1;
        String first = text.substring(0, firstEnd);
        if (!first.startsWith(KIND + " ")) {
            throw new MdevException(Errno.EINVAL, "does not begin with " + KIND);
        }
        if (!text.substring(firstEnd).equals(checkOf(first))) {
            throw new MdevException(Errno.EINVAL, "the checksum is wrong");
        }
        JournalLine fields = JournalLine.decode(first.substring(0, firstEnd - 1));
        List<Attribute> attributes =
                switch (fields.get("version")) {
                    case PLAIN -> {
                        fields.requireNoneBut("version", "uuid", "parent", "type", "start");
                        yield List.of();
                    }
                    case WITH_ATTRIBUTES -> {
                        fields.requireNoneBut(
                                "version", "uuid", "parent", "type", "start", "attributes");
                        yield attributes(fields.get("attributes"));
                    }
                    default ->
                            throw new MdevException(
                                    Errno.EINVAL,
                                    "version=%s is not known".formatted(fields.get("version")));
                };
        return new MdevDefinition(
                Uuids.parse(fields.get("uuid")),
                fields.get("parent"),
                fields.get("type"),
                fields.constant("start", Start.class) == Start.AUTO,
                attributes);
    }
}
