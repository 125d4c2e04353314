/// Tests of callers, tokens and tenants without a server.
@NullMarked
package dev.mdev.host.access;

import org.jspecify.annotations.NullMarked;
