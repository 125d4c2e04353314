package dev.mdev.host.access;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.core.store.MemoryFiles;
import dev.mdev.host.access.AccessProperties.Authentication;
import dev.mdev.host.access.AccessProperties.Jwt;
import dev.mdev.host.problem.ProblemException;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.util.unit.DataSize;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;

class ClaimsTest {
    private static final Caller RED = caller("red");
    private static final Caller BLUE = caller("blue");
    private static final Caller HOST = caller(null);
    private static final Subject VM = Subject.machine("vm");

    private final AccessFiles files = new AccessFiles(new MemoryFiles());
    private final Set<Subject> existing = new HashSet<>();
    private Claims claims = open();

    private static Caller caller(@Nullable String tenant) {
        return new Caller(
                "x", Caller.Means.TOKEN, Role.OPERATOR, new Reach(tenant, Set.of(), Set.of()));
    }

    /// Nobody owns anything.
    static Claims claimsOfNothing() {
        return new ClaimsTest().claims;
    }

    private Claims open() {
        Existing machines =
                new Existing() {
                    @Override
                    public Subject.Kind kind() {
                        return Subject.Kind.MACHINE;
                    }

                    @Override
                    public boolean exists(String name) {
                        return existing.contains(Subject.machine(name));
                    }
                };
        return new Claims(
                files,
                new AccessProperties(
                        Authentication.AUTO,
                        null,
                        List.of(),
                        null,
                        new Jwt("scope", null),
                        Map.of("red", new Quota(null, 2, DataSize.ofMegabytes(1), null)),
                        DataSize.ofMegabytes(2),
                        new AccessProperties.Socket("none", "0600", null),
                        200),
                new ObjectProvider<>() {
                    @Override
                    public Stream<Existing> stream() {
                        return Stream.of(machines);
                    }
                });
    }

    private void make(Subject subject, Caller caller, long ramBytes) {
        try (Claims.Making making = claims.claim(subject, caller, Cost.ofMachine(ramBytes))) {
            existing.add(subject);
            making.settle();
        }
    }

    @Test
    void whatWasMadeBelongsToItsTenantAlsoAfterARestart() {
        make(VM, RED, 4096);
        assertThat(claims.tenantOf(VM)).contains("red");

        claims = open();

        assertThat(claims.tenantOf(VM)).contains("red");
        assertThat(claims.usage("red")).isEqualTo(Cost.ofMachine(4096));
    }

    @Test
    void whatCouldNotBeMadeBelongsToNobody() {
        try (Claims.Making _ = claims.claim(VM, RED, Cost.ofMachine(0))) {
            assertThat(claims.tenantOf(VM)).contains("red");
        }
        assertThat(claims.tenantOf(VM)).isEmpty();
        make(VM, BLUE, 0);
        assertThat(claims.tenantOf(VM)).contains("blue");
    }

    @Test
    void nobodyMakesWhatAnotherIsMaking() {
        for (Caller first : List.of(RED, HOST)) {
            try (Claims.Making _ = claims.claim(VM, first, Cost.ofMachine(0))) {
                for (Caller second : List.of(BLUE, HOST, RED)) {
                    assertThatThrownBy(() -> claims.claim(VM, second, Cost.ofMachine(0)))
                            .isInstanceOf(ProblemException.class);
                }
            }
        }
    }

    @Test
    void aNameIsFreeForOthersWhenItsThingHasEnded() {
        make(VM, RED, 0);
        assertThatThrownBy(() -> claims.claim(VM, BLUE, Cost.ofMachine(0)))
                .isInstanceOf(ProblemException.class);
        existing.remove(VM);

        make(VM, BLUE, 0);

        assertThat(claims.tenantOf(VM)).contains("blue");
        assertThat(claims.usage("red")).isEqualTo(Cost.NOTHING);
    }

    @Test
    void theHostsOwnThingsAreNoTenants() {
        make(VM, HOST, 0);
        assertThat(claims.tenantOf(VM)).isEmpty();
        try (Claims.Making _ = claims.claim(VM, RED, Cost.ofMachine(0))) {
            assertThat(claims.tenantOf(VM)).isEmpty();
        }
        assertThat(claims.tenantOf(VM)).isEmpty();
    }

    @Test
    void aClaimThatIsBeingMadeCountsAlready() {
        try (Claims.Making _ = claims.claim(VM, RED, Cost.ofMachine(1 << 20))) {
            assertThatThrownBy(() -> claims.claim(Subject.machine("b"), RED, Cost.ofMachine(1)))
                    .isInstanceOf(ProblemException.class)
                    .hasMessageContaining("ramBytes: 1048577 wanted in all, 1048576 allowed");
        }
        make(Subject.machine("b"), RED, 1);
    }

    /// The tenant still sees the events of its end.
    @Test
    void whatHasEndedIsRememberedAsItsTenants() {
        make(VM, RED, 0);
        existing.remove(VM);
        assertThat(claims.usage("red")).isEqualTo(Cost.NOTHING);
        assertThat(claims.tenantOf(VM)).contains("red");
    }
}
