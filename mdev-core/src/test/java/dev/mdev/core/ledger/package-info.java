/// Tests of the records across restarts.
@NullMarked
package dev.mdev.core.ledger;

import org.jspecify.annotations.NullMarked;
