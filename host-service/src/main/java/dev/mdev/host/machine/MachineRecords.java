package dev.mdev.host.machine;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.store.Journal;
import dev.mdev.core.store.JournalLine;
import dev.mdev.core.store.StateFiles;

import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.stereotype.Component;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Predicate;
import java.util.regex.Pattern;

/// The machines of other programs and their devices, as they are written down, in the file
/// `machines`. A service that starts again offers the same devices at the same sockets.
///
/// Any thread may call all methods. Lock: `lock`, held during I/O; no other lock is taken under it.
/// All methods that change something throw [MdevException] with the files' error, and change
/// nothing then.
@Component
final class MachineRecords {
    private static final Logger log = LoggerFactory.getLogger(MachineRecords.class);
    private static final String FILE = "machines";
    private static final String KIND = "external";
    private static final String MDEV_PREFIX = "mdev";
    private static final Pattern MODE = Pattern.compile("0[0-7]{3}");

    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private final Journal journal;

    @GuardedBy("lock")
    private final Map<String, Recorded> records = new LinkedHashMap<>();

    /// A machine.
    ///
    /// @param access who may connect to its sockets
    /// @param mdevs its devices, in the order of attachment
    record Recorded(String name, SocketAccess access, List<UUID> mdevs) {
        Recorded {
            mdevs = List.copyOf(mdevs);
        }

        private String encode() {
            JournalLine line = JournalLine.of(KIND).with("name", name);
            line = access.uid() == null ? line : line.with("uid", access.uid());
            line = access.gid() == null ? line : line.with("gid", access.gid());
            line = access.mode() == null ? line : line.with("mode", access.mode());
            for (int i = 0; i < mdevs.size(); i++) {
                line = line.with(MDEV_PREFIX + i, mdevs.get(i));
            }
            return line.encode();
        }

        private static Recorded decode(String text) {
            JournalLine line = JournalLine.decode(text);
            Map<String, String> values = line.values();
            List<UUID> mdevs = new ArrayList<>();
            for (int i = 0; values.containsKey(MDEV_PREFIX + i); i++) {
                mdevs.add(UUID.fromString(line.get(MDEV_PREFIX + i)));
            }
            String mode = values.get("mode");
            if (mode != null && !MODE.matcher(mode).matches()) {
                throw new MdevException(Errno.EINVAL, "not a mode: " + mode);
            }
            return new Recorded(
                    line.get("name"),
                    new SocketAccess(
                            values.containsKey("uid") ? Math.toIntExact(line.number("uid")) : null,
                            values.containsKey("gid") ? Math.toIntExact(line.number("gid")) : null,
                            mode),
                    mdevs);
        }
    }

    /// @throws MdevException the files' error
    MachineRecords(StateFiles files) {
        this.journal = Journal.open(files, FILE);
        Journal.Content content = journal.read();
        for (String text : content.texts()) {
            try {
                Recorded recorded = Recorded.decode(text);
                records.put(recorded.name(), recorded);
            } catch (MdevException | IllegalArgumentException | ArithmeticException e) {
                journal.keepCopy();
                log.error("a line of the file of machines means nothing: {}", e.toString());
            }
        }
        content.damage()
                .ifPresent(what ->
                        log.error(
                                "the file of machines is damaged at {}: some machines of other"
                                        + " programs may be missing",
                                what));
    }

    /// All machines, in the order of creation.
    List<Recorded> all() {
        lock.lock();
        try {
            return List.copyOf(records.values());
        } finally {
            lock.unlock();
        }
    }

    /// A machine was made. One of its name that is written down already is no longer.
    void made(String name, SocketAccess access) {
        change(name, new Recorded(name, access, List.of()));
    }

    /// A machine was deleted.
    void deleted(String name) {
        lock.lock();
        try {
            Recorded before = records.remove(name);
            if (before != null) {
                writeLocked(name, before);
            }
        } finally {
            lock.unlock();
        }
    }

    /// A machine got a device.
    void attached(String name, UUID mdev) {
        lock.lock();
        try {
            Recorded before = records.get(name);
            if (before != null && !before.mdevs().contains(mdev)) {
                List<UUID> more = new ArrayList<>(before.mdevs());
                more.add(mdev);
                change(name, new Recorded(name, before.access(), more));
            }
        } finally {
            lock.unlock();
        }
    }

    /// A machine lost some of its devices.
    void detached(String name, Predicate<UUID> which) {
        lock.lock();
        try {
            Recorded before = records.get(name);
            if (before != null && before.mdevs().stream().anyMatch(which)) {
                List<UUID> fewer = before.mdevs().stream().filter(which.negate()).toList();
                change(name, new Recorded(name, before.access(), fewer));
            }
        } finally {
            lock.unlock();
        }
    }

    private void change(String name, Recorded next) {
        lock.lock();
        try {
            Recorded before = records.put(name, next);
            writeLocked(name, before);
        } finally {
            lock.unlock();
        }
    }

    /// Writes all machines down.
    ///
    /// @param before what a machine is again if that fails; null for none
    @GuardedBy("lock")
    private void writeLocked(String name, @Nullable Recorded before) {
        try {
            journal.rewrite(records.values().stream().map(Recorded::encode).toList());
        } catch (RuntimeException e) {
            if (before == null) {
                records.remove(name);
            } else {
                records.put(name, before);
            }
            throw e;
        }
    }
}
