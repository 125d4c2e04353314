/// The host's state across restarts: which devices are defined, which verbs are running, which
/// devices exist, and which pages are dirty.
///
/// [DefinitionStore][dev.mdev.core.ledger.DefinitionStore] keeps one file per definition. The rest
/// is the [Ledger][dev.mdev.core.ledger.Ledger]: records in a journal, and the state that results
/// from them.
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
