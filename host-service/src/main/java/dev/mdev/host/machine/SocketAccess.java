package dev.mdev.host.machine;

import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.Pattern;

import org.jspecify.annotations.Nullable;

/// Who may connect to the sockets of a machine.
///
/// @param uid the user that owns the sockets; this service's if absent
/// @param gid their group; this service's if absent
/// @param mode their permissions in octal; 0600 if absent
record SocketAccess(
        @Nullable @Min(0) Integer uid,
        @Nullable @Min(0) Integer gid,
        @Nullable @Pattern(regexp = "0[0-7]{3}", message = "four octal digits, the first 0")
                String mode) {
    private static final int DEFAULT_MODE = 0600;
    private static final String LETTERS = "rwxrwxrwx";

    /// This service's user only.
    static final SocketAccess DEFAULT = new SocketAccess(null, null, null);

    int owner() {
        return uid == null ? -1 : uid;
    }

    int group() {
        return gid == null ? -1 : gid;
    }

    /// Whether the same programs may connect.
    boolean isSame(SocketAccess other) {
        return owner() == other.owner()
                && group() == other.group()
                && permissions().equals(other.permissions());
    }

    /// As `ls` prints them.
    String permissions() {
        int bits = mode == null ? DEFAULT_MODE : Integer.parseInt(mode, 8);
        StringBuilder letters = new StringBuilder();
        for (int i = 0; i < LETTERS.length(); i++) {
            boolean set = (bits >> (LETTERS.length() - 1 - i) & 1) != 0;
            letters.append(set ? LETTERS.charAt(i) : '-');
        }
        return letters.toString();
    }
}
