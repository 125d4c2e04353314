package dev.mdev.core.ledger;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.store.JournalLine;

import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32C;

/// The file form of a definition: two lines, of which the second is the CRC-32C of the first with
/// its end-of-line character.
///
/// ```
/// mdev-definition version=1 uuid=... parent=gpu0 type=gpu-256m start=auto
/// crc32c value=1a2b3c4d
/// ```
final class DefinitionCodec {
    private static final String KIND = "mdev-definition";
    private static final String CHECK = "crc32c";
    private static final String VERSION = "1";

    /// Whether a device starts with its parent.
    private enum Start {
        AUTO,
        MANUAL
    }

    private DefinitionCodec() {}

    static byte[] encode(MdevDefinition definition) {
        Start start = definition.autostart() ? Start.AUTO : Start.MANUAL;
        String first =
                JournalLine.of(KIND)
                                .with("version", VERSION)
                                .with("uuid", definition.uuid())
                                .with("parent", definition.parent())
                                .with("type", definition.type())
                                .with("start", JournalLine.wordOf(start))
                                .encode()
                        + "\n";
        return (first + checkOf(first)).getBytes(StandardCharsets.ISO_8859_1);
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
        if (!fields.get("version").equals(VERSION)) {
            throw new MdevException(
                    Errno.EINVAL, "version=%s is not known".formatted(fields.get("version")));
        }
        fields.requireNoneBut("version", "uuid", "parent", "type", "start");
        return new MdevDefinition(
                Uuids.parse(fields.get("uuid")),
                fields.get("parent"),
                fields.get("type"),
                fields.constant("start", Start.class) == Start.AUTO);
    }
}
