package dev.mdev.core.ledger;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.store.StateFiles;
import dev.mdev.core.store.StoreException;

import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;

/// The definitions: one file each, named by the uuid, so that a broken file affects only its own
/// definition.
///
/// The number of definitions is limited: a script in a loop must not fill the host. Definitions
/// that exist at loading are all kept.
///
/// All methods may be called by any thread; changes happen one at a time.
public final class DefinitionStore {
    private static final String SUFFIX = ".mdev";

    /// What the attributes of a definition can take: each character of a value up to three bytes,
    /// each of which up to three characters of the file.
    private static final int MAX_FILE_BYTES = 640 << 10;

    /// Some messages have all of the line that they are about.
    private static final int MAX_REASON_CHARS = 300;

    private final StateFiles files;
    private final int most;
    private final ReentrantLock changing = new ReentrantLock();
    private final Map<UUID, MdevDefinition> definitions = new ConcurrentHashMap<>();
    private final Map<String, QuarantinedDefinition> quarantined = new ConcurrentHashMap<>();

    /// Definitions whose file may differ from memory, because a change failed and its undo failed
    /// as well.
    private final Set<UUID> uncertain = ConcurrentHashMap.newKeySet();

    private DefinitionStore(StateFiles files, int most) {
        this.files = files;
        this.most = most;
    }

    /// Reads all definitions. Quarantines an invalid file, and deletes leftovers of an interrupted
    /// [StateFiles#replace].
    ///
    /// @param most the maximum number of definitions
    /// @throws StoreException if the files cannot be listed
    public static DefinitionStore load(StateFiles files, int most) {
        DefinitionStore store = new DefinitionStore(files, most);
        for (String name : files.list()) {
            if (name.endsWith(SUFFIX + StateFiles.TEMPORARY)) {
                store.drop(name);
            } else if (name.endsWith(SUFFIX)) {
                store.loadOne(name);
            }
        }
        return store;
    }

    private void drop(String leftover) {
        try {
            files.delete(leftover);
        } catch (StoreException e) {
            quarantined.put(
                    leftover,
                    new QuarantinedDefinition(
                            leftover,
                            "leftover of a write that cannot be deleted: " + e.getMessage()));
        }
    }

    private void loadOne(String name) {
        try {
            byte[] content = files.read(name, MAX_FILE_BYTES).orElse(new byte[0]);
            MdevDefinition definition = DefinitionCodec.decode(content);
            if (!fileOf(definition.uuid()).equals(name)) {
                throw new MdevException(
                        Errno.EINVAL, "defines another device: mdev=" + definition.uuid());
            }
            definitions.put(definition.uuid(), definition);
        } catch (MdevException e) {
            String reason = String.valueOf(e.getMessage());
            quarantined.put(
                    name,
                    new QuarantinedDefinition(
                            name,
                            reason.substring(0, Math.min(reason.length(), MAX_REASON_CHARS))));
        }
    }

    private static String fileOf(UUID uuid) {
        return uuid + SUFFIX;
    }

    /// All definitions, by uuid.
    public List<MdevDefinition> all() {
        return definitions.values().stream()
                .sorted(Comparator.comparing(MdevDefinition::uuid))
                .toList();
    }

    public Optional<MdevDefinition> find(UUID uuid) {
        return Optional.ofNullable(definitions.get(uuid));
    }

    /// The damaged definition files, by name.
    public List<QuarantinedDefinition> quarantined() {
        return quarantined.values().stream()
                .sorted(Comparator.comparing(QuarantinedDefinition::file))
                .toList();
    }

    /// Writes or replaces a definition.
    ///
    /// @throws MdevException EEXIST if a damaged file has its name; EUSERS if the limit is reached;
    ///   otherwise the files' error, and the definition is the old one
    public void put(MdevDefinition definition) {
        changing.lock();
        try {
            requireRoom(definition.uuid());
            putLocked(definition);
        } finally {
            changing.unlock();
        }
    }

    /// @throws MdevException EUSERS if the limit is reached, and the definition is new
    public void requireRoom(UUID uuid) {
        if (!definitions.containsKey(uuid) && definitions.size() >= most) {
            throw new MdevException(
                    Errno.EUSERS,
                    "there are %d definitions, the maximum is %d"
                            .formatted(definitions.size(), most));
        }
    }

    private void putLocked(MdevDefinition definition) {
        String file = fileOf(definition.uuid());
        QuarantinedDefinition broken = quarantined.get(file);
        if (broken != null) {
            throw new MdevException(
                    Errno.EEXIST,
                    "file=%s is quarantined (%s): repair or discard it"
                            .formatted(file, broken.reason()));
        }
        try {
            files.replace(file, DefinitionCodec.encode(definition));
        } catch (StoreException e) {
            takeBack(definition.uuid(), e);
            throw e;
        }
        uncertain.remove(definition.uuid());
        definitions.put(definition.uuid(), definition);
    }

    /// A failed change may have happened: restores the file. If that also fails, a restart finds
    /// the old or the new content.
    private void takeBack(UUID uuid, StoreException because) {
        MdevDefinition old = definitions.get(uuid);
        try {
            if (old == null) {
                files.delete(fileOf(uuid));
            } else {
                files.replace(fileOf(uuid), DefinitionCodec.encode(old));
            }
            uncertain.remove(uuid);
        } catch (StoreException e) {
            uncertain.add(uuid);
            because.addSuppressed(e);
        }
    }

    /// Deletes a definition, if there is one.
    ///
    /// @throws MdevException the files' error; the definition still exists
    public void remove(UUID uuid) {
        changing.lock();
        try {
            removeLocked(uuid);
        } finally {
            changing.unlock();
        }
    }

    private void removeLocked(UUID uuid) {
        if (!definitions.containsKey(uuid) && !uncertain.contains(uuid)) {
            return;
        }
        try {
            files.delete(fileOf(uuid));
        } catch (StoreException e) {
            takeBack(uuid, e);
            throw e;
        }
        uncertain.remove(uuid);
        definitions.remove(uuid);
    }

    /// Deletes a quarantined file.
    ///
    /// @throws MdevException ENOENT if there is no such file
    public void discard(String file) {
        changing.lock();
        try {
            if (!quarantined.containsKey(file)) {
                throw new MdevException(Errno.ENOENT, "no quarantined file=" + file);
            }
            files.delete(file);
            quarantined.remove(file);
        } finally {
            changing.unlock();
        }
    }
}
