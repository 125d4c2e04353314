package dev.mdev.core.engine.kvm;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicLong;

/// How many mappings the kernel may keep for us (Linux `vm.max_map_count`, a limit for the whole
/// process). Past the kernel's limit, `mmap` fails with ENOMEM; a mapping is therefore refused
/// earlier, as an answer to its fault, and the rest is kept for what must not fail: a revocation
/// that cuts a mapping in two. Any thread.
final class VmaBudget {
    private static final Path LIMIT_FILE = Path.of("/proc/sys/vm/max_map_count");

    /// Linux `DEFAULT_MAX_MAP_COUNT`.
    private static final long DEFAULT_LIMIT = 65530;

    private final long limit;
    private final AtomicLong used = new AtomicLong();

    VmaBudget(long limit) {
        this.limit = limit;
    }

    /// Three quarters of what the kernel allows.
    static VmaBudget ofThisProcess() {
        return new VmaBudget(kernelLimit() / 4 * 3);
    }

    private static long kernelLimit() {
        try {
            return Long.parseLong(KernelFile.read(LIMIT_FILE));
        } catch (IOException | NumberFormatException e) {
            return DEFAULT_LIMIT;
        }
    }

    long limit() {
        return limit;
    }

    long used() {
        return used.get();
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
