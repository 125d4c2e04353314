/// The guest's machine code and its memory: a program that does the loads and stores it is given.
@NullMarked
package dev.mdev.core.engine.kvm.stub;

import org.jspecify.annotations.NullMarked;
