package dev.mdev.host.web;

import ch.qos.logback.classic.pattern.MessageConverter;
import ch.qos.logback.classic.spi.ILoggingEvent;

import org.springframework.boot.logging.logback.ExtendedWhitespaceThrowableProxyConverter;

import java.util.regex.Pattern;

/// Text in the log that a client may have written a part of: it cannot look like a line of ours,
/// and holds no control characters. Logback makes the converters by their class names.
final class PlainText {
    private static final Pattern END_OF_LINE = Pattern.compile("\\R(?=.)");
    private static final Pattern CONTROL = Pattern.compile("[\\p{Cntrl}&&[^\\t\\n]]");

    private PlainText() {}

    /// Indents all lines but the first, and replaces control characters.
    static String of(String text) {
        return CONTROL.matcher(END_OF_LINE.matcher(text).replaceAll("\n    ")).replaceAll("?");
    }

    /// `%plain`, in place of `%m`.
    public static final class Message extends MessageConverter {
        @Override
        public String convert(ILoggingEvent event) {
            return of(super.convert(event));
        }
    }

    /// `%plainEx`, in place of `%wEx`.
    public static final class Stack extends ExtendedWhitespaceThrowableProxyConverter {
        @Override
        public String convert(ILoggingEvent event) {
            return of(super.convert(event));
        }
    }
}
