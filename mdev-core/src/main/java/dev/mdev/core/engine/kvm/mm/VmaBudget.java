package dev.mdev.core.engine.kvm.mm;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.engine.kvm.kernel.KernelFile;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/// The number of mappings that the kernel may keep for this process (Linux `vm.max_map_count`, a
/// limit for the whole process). Past the kernel's limit, `mmap` fails with ENOMEM. So this refuses
/// a mapping earlier, as an answer to its fault, and keeps the rest for revocations, which cut
/// mappings in two and must not fail.
///
/// At the limit, the user with the most mappings, in any machine, gives some up, so that each
/// machine leaves room for the others. Any thread.
public final class VmaBudget {
    private static final Path LIMIT_FILE = Path.of("/proc/sys/vm/max_map_count");

    private static final long ROOM = 64;

    /// How often a user is asked to give up mappings: one user's may be too few.
    private static final int ATTEMPTS = 4;

    /// Linux `DEFAULT_MAX_MAP_COUNT`.
    private static final long DEFAULT_LIMIT = 65530;

    private static final VmaBudget OF_THIS_PROCESS = new VmaBudget(kernelLimit() / 4 * 3);

    private final long limit;
    private final AtomicLong used = new AtomicLong();
    private final Set<User> users = ConcurrentHashMap.newKeySet();

    /// A user of mappings.
    interface User {
        /// The number of mappings that it could give up. Takes no lock: a thread that finds no room
        /// asks all users.
        int evictableCount();

        /// Gives up some mappings.
        ///
        /// @return the number given up
        int evictSome();
    }

    public VmaBudget(long limit) {
        this.limit = limit;
    }

    /// The budget that all engines of this process share: three quarters of the kernel's limit.
    public static VmaBudget ofThisProcess() {
        return OF_THIS_PROCESS;
    }

    private static long kernelLimit() {
        try {
            return Long.parseLong(KernelFile.read(LIMIT_FILE));
        } catch (IOException | NumberFormatException e) {
            return DEFAULT_LIMIT;
        }
    }

    public long limit() {
        return limit;
    }

    public long used() {
        return used.get();
    }

    void addUser(User user) {
        users.add(user);
    }

    void removeUser(User user) {
        users.remove(user);
    }

    /// Makes room for a few mappings more than the caller needs, for concurrent callers. If no user
    /// can give any up, the next [#take] is refused. The caller holds no user's lock.
    ///
    /// @return the number given up
    int makeRoom() {
        int given = 0;
        for (int i = 0; i < ATTEMPTS && !hasRoom(); i++) {
            given +=
                    users.stream()
                            .max(Comparator.comparingInt(User::evictableCount))
                            .map(User::evictSome)
                            .orElse(0);
        }
        return given;
    }

    private boolean hasRoom() {
        return used.get() + Math.min(ROOM, limit / 8) <= limit;
    }

    /// Takes room for `count` mappings.
    ///
    /// @throws MdevException ENOMEM if there is none
    void take(int count) {
        long now = used.addAndGet(count);
        if (now > limit) {
            used.addAndGet(-count);
            throw new MdevException(
                    Errno.ENOMEM,
                    "too many mappings: used=%d limit=%d".formatted(now - count, limit));
        }
    }

    /// Records mappings that appeared (or, negative, disappeared) without a request.
    void add(int count) {
        used.addAndGet(count);
    }
}
