package dev.mdev.testkit;

import org.junit.jupiter.api.TestTemplate;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.TestTemplateInvocationContext;
import org.junit.jupiter.api.extension.TestTemplateInvocationContextProvider;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/// A rule of the conformance suite: a test that runs once, or as often as `-Dmdev.testkit.runs`
/// says, each time with a seed of its own unless `-Dmdev.seed` sets it.
@Target(ElementType.METHOD)
@Retention(RetentionPolicy.RUNTIME)
@TestTemplate
@ExtendWith(DriverRule.Runs.class)
@interface DriverRule {
    /// Makes the runs of a rule.
    final class Runs implements TestTemplateInvocationContextProvider {
        private static final int RUNS = Integer.getInteger("mdev.testkit.runs", 1);

        @Override
        public boolean supportsTestTemplate(ExtensionContext rule) {
            return true;
        }

        @Override
        public Stream<TestTemplateInvocationContext> provideTestTemplateInvocationContexts(
                ExtensionContext rule) {
            String name = rule.getRequiredTestMethod().getName() + "()";
            return IntStream.range(0, RUNS).mapToObj(_ -> new Run(name));
        }
    }

    /// One run of a rule.
    record Run(String name) implements TestTemplateInvocationContext {
        @Override
        public String getDisplayName(int number) {
            return Runs.RUNS == 1 ? name : "%s, run %d".formatted(name, number);
        }
    }
}
