package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import dev.mdev.api.ParentDriver;
import dev.mdev.testkit.ParentDriverConformance;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Supplier;

/// The conformance suite comes to an end with the hostile drivers of these tests, and finds them
/// out.
@Tag("slow")
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class VerdictTest {
    private static Supplier<ParentDriver> subject = () -> new HostileDriver("hostile", "hostile");

    @AfterEach
    void release() {
        HostileDriver.Stuck.releaseAll();
    }

    @Test
    void aDriverThatBreaksEachRuleIsFoundOut() {
        subject = () -> new HostileDriver("hostile", HostileDriver.PARENT);

        Map<String, Throwable> failures = failuresOfTheSuite();

        assertThat(failures)
                .containsKeys(
                        "everythingThatIsAvailableCanBeCreated",
                        "grantsKeepToTheShareTheWindowAndTheRights",
                        "resetBringsBackTheFirstState");
    }

    @Test
    void aDriverWhoseMemoryIsRottenIsFoundOut() {
        subject = RottenDriver::new;

        assertThat(failuresOfTheSuite()).containsKey("parentsAreWellFormedAndStayTheSame");
    }

    /// @return each rule that is broken, with a verdict rather than a failure of the suite itself
    private static Map<String, Throwable> failuresOfTheSuite() {
        Map<String, Throwable> failures = new TreeMap<>();
        LauncherFactory.create()
                .execute(
                        LauncherDiscoveryRequestBuilder.request()
                                .selectors(selectClass(Suite.class))
                                .build(),
                        new TestExecutionListener() {
                            @Override
                            public void executionFinished(
                                    TestIdentifier test, TestExecutionResult result) {
                                result.getThrowable()
                                        .ifPresent(thrown ->
                                                failures.put(
                                                        test.getDisplayName().replace("()", ""),
                                                        thrown));
                            }
                        });
        assertThat(failures.values())
                .allSatisfy(it -> assertThat(it).isInstanceOf(AssertionError.class));
        return failures;
    }

    static final class Suite extends ParentDriverConformance {
        @Override
        public ParentDriver newDriver() {
            return subject.get();
        }

        @Override
        public Duration deadline() {
            return Duration.ofMillis(200);
        }
    }
}
