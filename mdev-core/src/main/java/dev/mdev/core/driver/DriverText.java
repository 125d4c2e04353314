package dev.mdev.core.driver;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.Refusal;

import org.jspecify.annotations.Nullable;

/// What drivers say, cut to a bounded size where it enters: reasons, messages, descriptions. A
/// driver's exception may say more than the host can keep, or throw when it is asked.
public final class DriverText {
    /// The maximum characters of one text.
    public static final int MAX_CHARS = 1000;

    /// The maximum characters of a name.
    private static final int MAX_NAME_CHARS = 64;

    /// The maximum number of causes that are told with an exception.
    private static final int MAX_CAUSES = 4;

    private DriverText() {}

    /// The text, or its beginning with its true length. `null` is told as such.
    public static String cut(@Nullable String text) {
        return cut(text, MAX_CHARS);
    }

    /// The same, for a text that should be shorter, such as a name.
    public static String cut(@Nullable String text, int maxChars) {
        if (text == null) {
            return "null";
        }
        return text.length() <= maxChars
                ? text
                : text.substring(0, maxChars) + "... (" + text.length() + " characters)";
    }

    /// The same for a name: a pool's, a driver's, a thread's.
    public static String cutName(@Nullable String name) {
        return cut(name, MAX_NAME_CHARS);
    }

    /// The name of a thread, on which driver code runs and may rename it.
    public static String nameOf(Thread thread) {
        return cutName(thread.getName());
    }

    /// An exception and its causes, however it behaves.
    public static String of(Throwable thrown) {
        StringBuilder text = new StringBuilder(cut(textOf(thrown)));
        Throwable at = causeOf(thrown);
        for (int i = 0; i < MAX_CAUSES && at != null; i++) {
            String cause = cut(textOf(at));
            if (text.indexOf(cause) < 0) {
                text.append(", caused by ").append(cause);
            }
            at = causeOf(at);
        }
        return text.toString();
    }

    private static String textOf(Throwable thrown) {
        try {
            return String.valueOf(thrown);
        } catch (Throwable e) {
            return thrown.getClass().getName() + ", which throws when it is asked for its text";
        }
    }

    private static @Nullable Throwable causeOf(Throwable thrown) {
        try {
            return thrown.getCause();
        } catch (Throwable e) {
            return null;
        }
    }

    /// What a thrown exception means: the driver's error number, EIO for all that is no
    /// [MdevException] or does not behave like one.
    static Refusal refusalOf(Throwable thrown) {
        if (thrown instanceof MdevException expected) {
            try {
                Errno errno = expected.errno();
                if (errno != null) {
                    return new Refusal(errno, cut(expected.getMessage()));
                }
            } catch (Throwable e) {
                // It is told as any other.
            }
        }
        return new Refusal(Errno.EIO, "threw " + of(thrown));
    }
}
