package dev.mdev.testkit.drivers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import static java.util.stream.Collectors.toSet;

import dev.mdev.api.ParentDriver;
import dev.mdev.testkit.InMemoryHost;
import dev.mdev.testkit.ParentDriverConformance;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.platform.engine.FilterResult;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.TestExecutionResult.Status;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.PostDiscoveryFilter;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.function.Supplier;
import java.util.stream.Stream;

/// Runs the conformance suite on drivers with a known bug each: a suite that never fails is
/// worthless.
@Tag("slow")
final class ConformanceFindsBugsTest {
    private static final int TESTS_OF_THE_SUITE = 31;

    private static final List<SeededBug> BUGS =
            Stream.<SeededBug[]>of(
                            GrantBug.values(),
                            DeviceBug.values(),
                            PageBug.values(),
                            LayoutBug.values(),
                            HostileBug.values(),
                            DoorbellBug.values(),
                            LifeBug.values(),
                            ElasticBug.values())
                    .flatMap(Arrays::stream)
                    .toList();

    @ParameterizedTest
    @EnumSource
    void everyBugInAGrantIsFound(GrantBug bug) {
        assertFound(bug);
    }

    @ParameterizedTest
    @EnumSource
    void everyOtherBugOfADeviceIsFound(DeviceBug bug) {
        assertFound(bug);
    }

    @ParameterizedTest
    @EnumSource
    void everyBugInMovingPagesIsFound(PageBug bug) {
        assertFound(bug);
    }

    @ParameterizedTest
    @EnumSource
    void everyBugInALayoutIsFound(LayoutBug bug) {
        assertFound(bug);
    }

    @ParameterizedTest
    @EnumSource
    void everyHostileDriverGetsAVerdict(HostileBug bug) {
        assertFound(bug);
    }

    @ParameterizedTest
    @EnumSource
    void everyBugOfADoorbellIsFound(DoorbellBug bug) {
        assertFound(bug);
    }

    @ParameterizedTest
    @EnumSource
    void everyBugInALifeIsFound(LifeBug bug) {
        assertFound(bug);
    }

    @ParameterizedTest
    @EnumSource
    void everyBugWithElasticPagesIsFound(ElasticBug bug) {
        assertFound(bug);
    }

    /// A rule for which no driver has a bug may find none at all.
    @Test
    void everyRuleHasABugToFind() {
        Set<String> rules = new TreeSet<>();
        runSuite(
                Variant::new,
                InMemoryHost.Options.standard().deadline(),
                rule -> {
                    rules.add(rule);
                    return false;
                },
                new TreeMap<>());

        assertThat(rules).hasSize(TESTS_OF_THE_SUITE);
        assertThat(BUGS.stream().map(SeededBug::foundBy).collect(toSet())).isEqualTo(rules);
    }

    private static void assertFound(SeededBug bug) {
        Map<String, Throwable> failures = new TreeMap<>();
        try {
            runSuite(bug::newDriver, bug.deadline(), bug.foundBy()::equals, failures);
        } finally {
            bug.end();
        }
        assertThat(failures).containsKey(bug.foundBy());
        assertThat(failures.get(bug.foundBy()))
                .isInstanceOf(AssertionError.class)
                .hasMessageContaining(bug.says());
    }

    @Test
    void theSameDriverWithoutABugPasses() {
        assertPasses(Variant::new);
    }

    @Test
    void devicesThatShareReadOnlyPagesPass() {
        assertPasses(SharingVariant.with(SharingVariant.Device::new));
    }

    @Test
    void theDriverThatPagesByRevocationPasses() {
        assertPasses(Variant.of(PagingVariant::new));
    }

    @Test
    void theDriverThatPagesByRevocationForSeveralProcessorsAtOncePasses() {
        assertPasses(Variant.of(PagingVariant.Concurrent::new));
    }

    /// They pass the rules that find their bugs. The sample GPU's tests run all rules.
    @Test
    void devicesWithAnElasticSharePass() {
        Set<String> rules =
                Arrays.stream(ElasticBug.values()).map(SeededBug::foundBy).collect(toSet());
        Map<String, Throwable> failures = new TreeMap<>();
        int ran =
                runSuite(
                        ElasticVariant.with(ElasticVariant.Device::new),
                        InMemoryHost.Options.standard().deadline(),
                        rules::contains,
                        failures);
        assertThat(failures).isEmpty();
        assertThat(ran).isEqualTo(rules.size());
    }

    private static void assertPasses(Supplier<? extends ParentDriver> driver) {
        Map<String, Throwable> failures = new TreeMap<>();
        int ran = runSuite(driver, InMemoryHost.Options.standard().deadline(), _ -> true, failures);
        assertThat(failures).isEmpty();
        assertThat(ran).isEqualTo(TESTS_OF_THE_SUITE);
    }

    /// @param tests which of the suite's tests to run, by name
    /// @return the number of tests
    private static int runSuite(
            Supplier<? extends ParentDriver> driver,
            Duration deadline,
            Predicate<String> tests,
            Map<String, Throwable> failures) {
        Suite.driver = driver;
        Suite.deadline = deadline;
        int[] ran = new int[1];
        LauncherDiscoveryRequest request =
                LauncherDiscoveryRequestBuilder.request()
                        .selectors(selectClass(Suite.class))
                        .filters(testsCalled(tests))
                        .build();
        LauncherFactory.create()
                .execute(
                        request,
                        new TestExecutionListener() {
                            @Override
                            public void executionFinished(
                                    TestIdentifier test, TestExecutionResult result) {
                                if (test.isTest()) {
                                    ran[0]++;
                                    note(test, result, failures);
                                }
                            }
                        });
        return ran[0];
    }

    private static PostDiscoveryFilter testsCalled(Predicate<String> wanted) {
        return found ->
                FilterResult.includedIf(
                        !(found.getSource().orElse(null) instanceof MethodSource method)
                                || wanted.test(method.getMethodName()));
    }

    private static void note(
            TestIdentifier test, TestExecutionResult result, Map<String, Throwable> failures) {
        if (result.getStatus() == Status.FAILED) {
            MethodSource method = (MethodSource) test.getSource().orElseThrow();
            failures.put(method.getMethodName(), result.getThrowable().orElseThrow());
        }
    }

    /// The suite for the current driver.
    static final class Suite extends ParentDriverConformance {
        private static Supplier<? extends ParentDriver> driver = Variant::new;
        private static Duration deadline = InMemoryHost.Options.standard().deadline();

        @Override
        public ParentDriver newDriver() {
            return driver.get();
        }

        @Override
        public Duration deadline() {
            return deadline;
        }
    }
}
