/// This process's page table as the engine's host page table: reserved ranges, `mmap`, userfaultfd.
@NullMarked
package dev.mdev.core.engine.kvm.mm;

import org.jspecify.annotations.NullMarked;
