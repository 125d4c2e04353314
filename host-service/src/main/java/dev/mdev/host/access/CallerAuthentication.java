package dev.mdev.host.access;

import org.jspecify.annotations.Nullable;
import org.springframework.security.authentication.AbstractAuthenticationToken;
import org.springframework.security.core.authority.SimpleGrantedAuthority;

import java.util.List;
import java.util.function.BooleanSupplier;

/// A caller, in Spring Security's form.
final class CallerAuthentication extends AbstractAuthenticationToken {
    private static final long serialVersionUID = 1L;

    private final transient Caller caller;
    private final transient BooleanSupplier isStillValid;

    /// @param isStillValid whether its credentials count, also later
    CallerAuthentication(Caller caller, BooleanSupplier isStillValid) {
        super(List.of(new SimpleGrantedAuthority("ROLE_" + caller.role())));
        this.caller = caller;
        this.isStillValid = isStillValid;
        setAuthenticated(true);
    }

    @Override
    public Caller getPrincipal() {
        return caller;
    }

    BooleanSupplier isStillValid() {
        return isStillValid;
    }

    /// They are not kept.
    @Override
    public String getCredentials() {
        return "";
    }

    @Override
    public String getName() {
        return caller.name();
    }

    @Override
    public boolean equals(@Nullable Object other) {
        return other instanceof CallerAuthentication it && caller.equals(it.caller);
    }

    @Override
    public int hashCode() {
        return caller.hashCode();
    }
}
