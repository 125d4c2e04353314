package dev.mdev.cli.verb;

import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

import java.util.UUID;
import java.util.regex.Pattern;

/// Reads UUIDs in their usual form only, as the service does.
public final class UuidConverter implements ITypeConverter<UUID> {
    private static final Pattern UUID_FORM =
            Pattern.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}");

    @Override
    public UUID convert(String text) {
        if (!UUID_FORM.matcher(text).matches()) {
            throw new TypeConversionException(
                    "\"%s\" is not a UUID; mdev list -o name lists them".formatted(text));
        }
        return UUID.fromString(text);
    }
}
