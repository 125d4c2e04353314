package dev.mdev.host.web;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;

/// An answer with an entity tag (RFC 9110, section 8.8.3): the same as long as nobody changed the
/// thing. Counters do not count.
public interface Tagged {
    /// The tag, without quotes.
    String etag();

    /// A tag of what can be changed.
    static String of(Object... facts) {
        try {
            byte[] text = Arrays.toString(facts).getBytes(StandardCharsets.UTF_8);
            byte[] hash = MessageDigest.getInstance("SHA-256").digest(text);
            return HexFormat.of().formatHex(hash, 0, 8);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
