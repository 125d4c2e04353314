/// Tests of what is remembered over restarts.
@NullMarked
package dev.mdev.core.ledger;

import org.jspecify.annotations.NullMarked;
