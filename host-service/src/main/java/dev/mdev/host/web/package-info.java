/// What every request passes before a controller sees it, and what answers when none does.
@NullMarked
package dev.mdev.host.web;

import org.jspecify.annotations.NullMarked;
