package dev.mdev.core.sync;

import org.jetbrains.kotlinx.lincheck.Actor;
import org.jetbrains.kotlinx.lincheck.execution.ExecutionScenario;
import org.jetbrains.lincheck.datastructures.ModelCheckingOptions;

import java.util.Arrays;
import java.util.List;

/// Searches the interleavings of two threads that each do given operations. One scenario that is
/// known to matter is searched instead of many that are drawn by chance: that is what makes the
/// search short.
public final class Interleavings {
    private static final int INVOCATIONS = Integer.getInteger("mdev.lincheck.invocations", 1500);

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
        new ModelCheckingOptions()
                .iterations(0)
                .invocationsPerIteration(INVOCATIONS)
                .minimizeFailedScenario(false)
                .sequentialSpecification(specification)
                .addCustomScenario(
                        new ExecutionScenario(
                                List.of(), List.of(actors(first), actors(second)), List.of(), null))
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
