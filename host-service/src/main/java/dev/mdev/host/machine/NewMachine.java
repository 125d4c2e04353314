package dev.mdev.host.machine;

import dev.mdev.core.memslot.SmmDesign;
import dev.mdev.core.vm.MachineSpec;
import dev.mdev.host.label.Metadata;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Violation;

import jakarta.validation.Valid;
import jakarta.validation.constraints.Max;
import jakarta.validation.constraints.Min;
import jakarta.validation.constraints.NotNull;
import jakarta.validation.constraints.Pattern;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// A request for a machine.
///
/// @param name its name, unique on this host
/// @param kind [#GUEST], which this service runs, or [#EXTERNAL], which another program runs;
///   `guest` if absent
/// @param ramMib RAM in MiB; 0 if absent. Not for an external machine
/// @param vcpus virtual processors; 1 if absent. Not for an external machine
/// @param smm its system management mode; none if absent. Not for an external machine
/// @param socket who may connect to the devices of an external machine
/// @param displayName a name for people
/// @param labels words to select by
public record NewMachine(
        @NotNull @Pattern(regexp = NAME_FORM, message = NAME_RULE) String name,
        @Nullable @Pattern(regexp = GUEST + "|" + EXTERNAL, message = "guest or external")
                String kind,
        @Nullable @Min(0) @Max(1022 * 1024) Integer ramMib,
        @Nullable @Min(1) @Max(64) Integer vcpus,
        @Nullable SmmOption smm,
        @Nullable @Valid SocketAccess socket,
        @Nullable String displayName,
        @Nullable String description,
        @Nullable Map<String, String> labels) {
    private static final long MIB = 1 << 20;

    /// The form of a name, and the same in words.
    public static final String NAME_FORM = "(?=.*[A-Za-z0-9])[A-Za-z0-9._-]{1,64}";

    public static final String NAME_RULE =
            "letters, digits, dots, underscores and dashes, 1 to 64, with a letter or a digit";

    public static final String GUEST = "guest";
    public static final String EXTERNAL = "external";

    /// A machine that this service runs.
    MachineSpec spec() {
        return new MachineSpec(
                name, ramMib == null ? 0 : ramMib * MIB, vcpus == null ? 1 : vcpus, smmDesign());
    }

    public Metadata metadata() {
        return Metadata.of(displayName, description, labels);
    }

    /// The same with other words beside it.
    public NewMachine with(Metadata metadata) {
        return new NewMachine(
                name,
                kind,
                ramMib,
                vcpus,
                smm,
                socket,
                metadata.displayName(),
                metadata.description(),
                metadata.labels());
    }

    public boolean isExternal() {
        return EXTERNAL.equals(kind);
    }

    SmmDesign smmDesign() {
        return smm == null ? SmmDesign.NONE : smm.design();
    }

    /// @throws ProblemException if it has values of the other kind
    public void requireFitting() {
        List<Violation> violations = new ArrayList<>();
        if (isExternal() && ramMib != null) {
            violations.add(new Violation("/ramMib", "the other program has the RAM"));
        }
        if (isExternal() && vcpus != null) {
            violations.add(new Violation("/vcpus", "the other program has the processors"));
        }
        if (isExternal() && smm != null) {
            violations.add(new Violation("/smm", "the other program has the processors"));
        }
        if (!isExternal() && socket != null) {
            violations.add(new Violation("/socket", "only an external machine has sockets"));
        }
        if (!violations.isEmpty()) {
            throw ProblemException.invalid(violations);
        }
    }
}
