/// The kernel's side: KVM's file descriptors and files of `/proc` and `/sys`.
@NullMarked
package dev.mdev.core.engine.kvm.kernel;

import org.jspecify.annotations.NullMarked;
