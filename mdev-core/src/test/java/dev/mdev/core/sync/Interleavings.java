package dev.mdev.core.sync;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.jetbrains.kotlinx.lincheck.Actor;
import org.jetbrains.kotlinx.lincheck.execution.ExecutionScenario;
import org.jetbrains.lincheck.LincheckAssertionError;
import org.jetbrains.lincheck.datastructures.ModelCheckingOptions;

import java.util.Arrays;
import java.util.List;

/// Searches the interleavings of two threads that each do given operations. One scenario that is
/// known to matter is searched instead of many that are drawn by chance: that is what makes the
/// search short.
///
/// Lincheck 3.4 switches threads before reads, writes, `getAndSet`, `getAndAdd` and
/// `compareAndSet`, but not before the bitwise operations of a `VarHandle` or updates by a lambda:
/// searched code must not use those.
public final class Interleavings {
    /// The number of interleavings of a search without a result.
    private static final int INVOCATIONS = Integer.getInteger("mdev.lincheck.invocations", 250);

    private final Class<?> scenario;
    private final Class<?> specification;

    /// @param scenario has the operations as public methods without parameters
    /// @param specification the same operations, for one thread
    public Interleavings(Class<?> scenario, Class<?> specification) {
        this.scenario = scenario;
        this.specification = specification;
    }

    /// Fails if some interleaving gives results that no order of the operations gives.
    public void search(List<String> first, List<String> second) {
        search(first, second, List.of());
    }

    /// As [#search(List, List)], with operations at the end when both threads are done.
    public void search(List<String> first, List<String> second, List<String> last) {
        check(INVOCATIONS, first, second, last);
    }

    /// Succeeds if some interleaving gives such results. It ends with the first one, so its limit
    /// may be higher than that of a search that must find none.
    public void searchPlanted(List<String> first, List<String> second, List<String> last) {
        assertThatThrownBy(() -> check(10 * INVOCATIONS, first, second, last))
                .matches(Interleavings::isFind, "tells of an interleaving with wrong results");
    }

    /// Lincheck 3.4 sometimes fails to print the trace of its result.
    private static boolean isFind(Throwable thrown) {
        return thrown instanceof LincheckAssertionError
                || Arrays.stream(thrown.getStackTrace())
                        .anyMatch(frame -> frame.getClassName().endsWith(".TraceReporter"));
    }

    private void check(
            int invocations, List<String> first, List<String> second, List<String> last) {
        new ModelCheckingOptions()
                .iterations(0)
                .invocationsPerIteration(invocations)
                .minimizeFailedScenario(false)
                .sequentialSpecification(specification)
                .addCustomScenario(
                        new ExecutionScenario(
                                List.of(),
                                List.of(actors(first), actors(second)),
                                actors(last),
                                null))
                .check(scenario);
    }

    private List<Actor> actors(List<String> operations) {
        return operations.stream().map(this::actor).toList();
    }

    private Actor actor(String operation) {
        return Arrays.stream(scenario.getMethods())
                .filter(method -> method.getName().equals(operation))
                .findFirst()
                .map(method -> new Actor(method, List.of()))
                .orElseThrow(() -> new IllegalArgumentException(operation));
    }
}
