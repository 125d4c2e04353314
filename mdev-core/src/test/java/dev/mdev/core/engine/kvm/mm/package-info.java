/// Tests of this process's page table.
@NullMarked
package dev.mdev.core.engine.kvm.mm;

import org.jspecify.annotations.NullMarked;
