/// The rules of the repository. Each module runs the tests of this package on its own files, and
/// extends [dev.mdev.gate.ArchitectureRules] with its own table of packages.
@NullMarked
package dev.mdev.gate;

import org.jspecify.annotations.NullMarked;
