package dev.mdev.core.engine.kvm;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.MdevException;
import dev.mdev.core.engine.DoorbellPort;
import dev.mdev.core.engine.kvm.kernel.KvmVm;
import dev.mdev.core.sys.EventFd;
import dev.mdev.core.sys.EventFdLoop;
import dev.mdev.core.sys.Syscalls;

import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;

/// The doorbells of one machine as the kernel has them (`KVM_IOEVENTFD`): a store to one signals an
/// event counter, and the processor does not leave the guest.
///
/// Where the kernel refuses one, the store leaves the guest and rings like any other register
/// access.
final class KvmDoorbells implements AutoCloseable {
    private final KvmVm vm;
    private final EventFdLoop loop;
    private final AtomicLong rings = new AtomicLong();

    /// Held during the kernel's calls.
    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private final Map<DoorbellPort, EventFd> assigned = new HashMap<>();

    @GuardedBy("lock")
    private boolean closed;

    KvmDoorbells(Syscalls sys, KvmVm vm) {
        this.vm = vm;
        this.loop = new EventFdLoop(sys, "mdev-kvm-doorbells");
    }

    /// Events that the kernel signalled: one for each store, or fewer for stores in close
    /// succession.
    long rings() {
        return rings.get();
    }

    /// Doorbells that the kernel has.
    int assigned() {
        lock.lock();
        try {
            return assigned.size();
        } finally {
            lock.unlock();
        }
    }

    /// Replaces all doorbells. When this returns, a store rings at the new places only.
    void set(List<DoorbellPort> wanted) {
        lock.lock();
        try {
            if (closed) {
                return;
            }
            Set<DoorbellPort> gone = new HashSet<>(assigned.keySet());
            wanted.forEach(gone::remove);
            for (DoorbellPort port : gone) {
                remove(port);
            }
            for (DoorbellPort port : wanted) {
                if (!assigned.containsKey(port)) {
                    add(port);
                }
            }
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private void add(DoorbellPort port) {
        EventFd event;
        try {
            event =
                    loop.add(() -> {
                        rings.incrementAndGet();
                        port.ring().run();
                    });
        } catch (MdevException e) {
            // Without a descriptor, the store leaves the guest and rings.
            return;
        }
        if (vm.tryAssignDoorbell(port.gpa(), port.widthBytes(), event.fd()) == 0) {
            assigned.put(port, event);
        } else {
            // The kernel has no room for it; then the store leaves the guest and rings.
            loop.remove(event);
        }
    }

    @GuardedBy("lock")
    private void remove(DoorbellPort port) {
        EventFd event = assigned.remove(port);
        if (event != null) {
            var _ = vm.tryRemoveDoorbell(port.gpa(), port.widthBytes(), event.fd());
            loop.remove(event);
        }
    }

    /// Before the machine's descriptor is closed.
    @Override
    public void close() {
        lock.lock();
        try {
            closed = true;
            for (DoorbellPort port : Set.copyOf(assigned.keySet())) {
                remove(port);
            }
        } finally {
            lock.unlock();
        }
        loop.close();
    }
}
