package dev.mdev.host.web;

import org.springframework.core.convert.converter.Converter;
import org.springframework.core.convert.converter.ConverterFactory;
import org.springframework.format.FormatterRegistry;
import org.springframework.stereotype.Component;
import org.springframework.web.servlet.config.annotation.WebMvcConfigurer;

import java.util.Arrays;
import java.util.Locale;

/// Reads words in parameters in the form that answers have them: `first_touch`.
@Component
@SuppressWarnings({"rawtypes", "unchecked"}) // Spring's converters of enums are raw.
final class LowerCaseWords implements ConverterFactory<String, Enum>, WebMvcConfigurer {
    @Override
    public void addFormatters(FormatterRegistry registry) {
        registry.addConverterFactory(this);
    }

    @Override
    public <T extends Enum> Converter<String, T> getConverter(Class<T> type) {
        return word ->
                Arrays.stream(type.getEnumConstants())
                        .filter(it -> it.name().toLowerCase(Locale.ROOT).equals(word))
                        .findFirst()
                        .orElseThrow(() -> new IllegalArgumentException("not a known word"));
    }
}
