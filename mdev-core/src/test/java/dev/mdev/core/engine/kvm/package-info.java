@NullMarked
package dev.mdev.core.engine.kvm;

import org.jspecify.annotations.NullMarked;
