/// The guest's machine code and its memory: a program that does the requested loads and stores.
@NullMarked
package dev.mdev.core.engine.kvm.stub;

import org.jspecify.annotations.NullMarked;
