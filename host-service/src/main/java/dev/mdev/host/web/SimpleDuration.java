package dev.mdev.host.web;

import org.springframework.boot.convert.DurationStyle;
import org.springframework.web.bind.WebDataBinder;
import org.springframework.web.bind.annotation.ControllerAdvice;
import org.springframework.web.bind.annotation.InitBinder;

import java.beans.PropertyEditorSupport;
import java.time.Duration;

/// Reads durations of parameters in the same way as those of settings: `500ms`, `5s`, `2m`, or ISO
/// 8601's `PT5S`. Without a unit, milliseconds.
public final class SimpleDuration {
    private SimpleDuration() {}

    /// For parameters.
    @ControllerAdvice
    static final class OfParameter {
        @InitBinder
        void register(WebDataBinder binder) {
            binder.registerCustomEditor(Duration.class, new Editor());
        }
    }

    private static final class Editor extends PropertyEditorSupport {
        @Override
        public void setAsText(String text) {
            try {
                setValue(DurationStyle.detectAndParse(text));
            } catch (ArithmeticException e) {
                throw new IllegalArgumentException("a duration out of range", e);
            }
        }
    }
}
