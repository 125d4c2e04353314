package dev.mdev.host.access;

import jakarta.validation.constraints.NotNull;
import jakarta.validation.constraints.Pattern;
import jakarta.validation.constraints.Size;

import org.jspecify.annotations.Nullable;

import java.time.Instant;
import java.util.Locale;
import java.util.Set;

/// A request for a token.
///
/// @param tenant the tenant whose things its holder makes and sees; the maker's if absent
/// @param parents the names of the parents that its holder sees; all if absent
/// @param machines the names of the machines that its holder sees; all if absent
/// @param expires when it ends; never if absent
record TokenRequest(
        @NotNull @Pattern(regexp = TokenRequest.NAME, message = TokenRequest.NAME_WANTED)
                String name,
        @NotNull @Pattern(regexp = "viewer|operator|admin", message = "viewer, operator or admin")
                String role,
        @Nullable @Pattern(regexp = TokenRequest.NAME, message = TokenRequest.NAME_WANTED)
                String tenant,
        @Nullable @Size(max = 64)
                Set<
                                @NotNull
                                @Pattern(
                                        regexp = TokenRequest.NAME,
                                        message = TokenRequest.NAME_WANTED)
                                String>
                        parents,
        @Nullable @Size(max = 64)
                Set<
                                @NotNull
                                @Pattern(
                                        regexp = TokenRequest.NAME,
                                        message = TokenRequest.NAME_WANTED)
                                String>
                        machines,
        @Nullable Instant expires) {
    static final String NAME = "[A-Za-z0-9][A-Za-z0-9._:-]{0,63}";
    static final String NAME_WANTED =
            "letters, digits, dots, colons, underscores and dashes, 1 to 64, with a letter or a"
                    + " digit first";

    Role wantedRole() {
        return Role.valueOf(role.toUpperCase(Locale.ROOT));
    }

    Reach reach(@Nullable String tenantOfMaker) {
        return new Reach(
                tenant == null ? tenantOfMaker : tenant,
                parents == null ? Set.of() : parents,
                machines == null ? Set.of() : machines);
    }
}
