package dev.mdev.cli.client;

import dev.mdev.cli.failure.Failure;

import java.nio.charset.StandardCharsets;
import java.util.HexFormat;

/// A path below the service's root, with its parameters. Names of the operator become one segment
/// each, whatever they contain.
public final class ApiPath {
    private static final HexFormat HEX = HexFormat.of().withUpperCase();

    private final String text;

    private ApiPath(String text) {
        this.text = text;
    }

    /// A path below `/api/v1`.
    ///
    /// @throws Failure if a name is empty or consists of dots, which no name does
    public static ApiPath of(String... segments) {
        StringBuilder path = new StringBuilder("/api/v1");
        for (String segment : segments) {
            if (segment.isEmpty() || segment.equals(".") || segment.equals("..")) {
                throw Failure.usage("\"%s\" is not a name".formatted(segment));
            }
            path.append('/').append(encoded(segment));
        }
        return new ApiPath(path.toString());
    }

    /// The same path with one more parameter.
    public ApiPath with(String name, Object value) {
        char before = text.indexOf('?') < 0 ? '?' : '&';
        return new ApiPath(text + before + encoded(name) + '=' + encoded(value.toString()));
    }

    private static String encoded(String text) {
        StringBuilder encoded = new StringBuilder();
        for (byte one : text.getBytes(StandardCharsets.UTF_8)) {
            if (isUnreserved(one)) {
                encoded.append((char) one);
            } else {
                encoded.append('%').append(HEX.toHexDigits(one));
            }
        }
        return encoded.toString();
    }

    /// RFC 3986, section 2.3.
    private static boolean isUnreserved(byte one) {
        return (one >= 'a' && one <= 'z')
                || (one >= 'A' && one <= 'Z')
                || (one >= '0' && one <= '9')
                || one == '-'
                || one == '.'
                || one == '_'
                || one == '~';
    }

    @Override
    public String toString() {
        return text;
    }
}
