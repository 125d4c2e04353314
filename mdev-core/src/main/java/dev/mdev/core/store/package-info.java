/// Small files that survive a crash: the directory they are in, a journal of checksummed lines, and
/// the form of a line.
///
/// ## Locks
///
/// ```
/// DirectoryFiles.channels   the file that is being appended to; a leaf, held during I/O
/// ```
///
/// A [Journal][dev.mdev.core.store.Journal] has no lock: its owner serializes.
@NullMarked
package dev.mdev.core.store;

import org.jspecify.annotations.NullMarked;
