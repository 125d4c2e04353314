/// Benchmarks of the memory core, by JMH. Commands and results: `docs/benchmarks.md`.
@NullMarked
package dev.mdev.bench;

import org.jspecify.annotations.NullMarked;
