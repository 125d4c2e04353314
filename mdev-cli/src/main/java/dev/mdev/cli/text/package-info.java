/// Answers as text: tables, JSON, YAML. Nothing here depends on the locale.
@NullMarked
package dev.mdev.cli.text;

import org.jspecify.annotations.NullMarked;
