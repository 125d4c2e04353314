/// Tests of the web layer's parts.
@NullMarked
package dev.mdev.host.web;

import org.jspecify.annotations.NullMarked;
