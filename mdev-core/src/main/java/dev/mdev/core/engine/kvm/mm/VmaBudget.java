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

/// How many mappings the kernel may keep for us (Linux `vm.max_map_count`, a limit for the whole
/// process). Past the kernel's limit, `mmap` fails with ENOMEM; a mapping is therefore refused
/// earlier, as an answer to its fault, and the rest is kept for what must not fail: a revocation
/// that cuts a mapping in two.
///
/// When there is no room left, the user that has the most mappings gives some back, whichever
/// machine it belongs to: nobody can keep the others from working. Any thread.
public final class VmaBudget {
    private static final Path LIMIT_FILE = Path.of("/proc/sys/vm/max_map_count");

    private static final long ROOM = 64;

    /// How often somebody is asked to give mappings back: what one has may not be worth it.
    private static final int ATTEMPTS = 4;

    /// Linux `DEFAULT_MAX_MAP_COUNT`.
    private static final long DEFAULT_LIMIT = 65530;

    private static final VmaBudget OF_THIS_PROCESS = new VmaBudget(kernelLimit() / 4 * 3);

    private final long limit;
    private final AtomicLong used = new AtomicLong();
    private final Set<User> users = ConcurrentHashMap.newKeySet();

    /// Who has mappings.
    interface User {
        /// How many it could give back. Takes no lock: all users are asked, by whoever finds no
        /// room.
        int evictableCount();

        /// Gives some back.
        ///
        /// @return how many
        int evictSome();
    }

    public VmaBudget(long limit) {
        this.limit = limit;
    }

    /// The one that all engines of this process share: three quarters of what the kernel allows.
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

    /// Sees to it that there is room for a few mappings, more than the caller needs, for those who
    /// come between. If nobody can give any back, the next [#take] is refused. The caller holds no
    /// user's lock.
    ///
    /// @return how many were given back
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

    /// Notes mappings that came (or, negative, went) and for which nobody asked.
    void add(int count) {
        used.addAndGet(count);
    }
}
