/// What the host remembers over restarts: which devices are defined, which verbs were under way,
/// which devices exist, and which pages hold somebody's bytes.
///
/// [DefinitionStore][dev.mdev.core.ledger.DefinitionStore] keeps one file a definition. The rest is
/// the [Ledger][dev.mdev.core.ledger.Ledger]: records in a journal, and the state they add up to.
///
/// ## Locks
///
/// ```
/// Ledger.recording          the state and its journal; held during I/O; no driver is called under it
///   DirectoryFiles.channels
/// DefinitionStore.changing  the definitions and their files, likewise
///   DirectoryFiles.channels
/// ```
@NullMarked
package dev.mdev.core.ledger;

import org.jspecify.annotations.NullMarked;
