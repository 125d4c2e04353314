/// Benchmarks of the memory core, by JMH. How to run them and what they gave: `docs/benchmarks.md`.
@NullMarked
package dev.mdev.bench;

import org.jspecify.annotations.NullMarked;
