package dev.mdev.gate;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable;

import java.lang.annotation.ElementType;
import java.lang.annotation.Inherited;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/// Marks a test class that needs the kernel and the hardware of the guest of `.ci/box`, such as its
/// PCI functions. It runs nowhere else; there, what is missing is a failure.
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@Inherited
@Tag("box")
@EnabledIfEnvironmentVariable(
        named = "MDEV_BOX",
        matches = "yes",
        disabledReason = "runs only in the box")
public @interface OnlyInBox {}
