package dev.mdev.core.kernelbus;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.core.sys.Syscalls;
import dev.mdev.core.sys.UeventSocket;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;

/// The messages of this machine's kernel. A process may send such a message, too, if it is root's:
/// no message is believed, each only lets the service look.
final class UeventMessages implements BusMessages {
    private final UeventSocket socket;
    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private boolean waiting;

    @GuardedBy("lock")
    private boolean closed;

    UeventMessages(Syscalls sys) {
        socket = new UeventSocket(sys);
    }

    /// Devices of the bus are of the subsystem `mdev`. A parent is of any, and tells that it came
    /// or left the bus by `MDEV_STATE` (Linux `drivers/vfio/mdev/mdev_core.c`).
    static boolean isOfBus(List<String> message) {
        return message.stream()
                .anyMatch(line -> line.equals("SUBSYSTEM=mdev") || line.startsWith("MDEV_STATE="));
    }

    @Override
    public boolean await(Duration atMost) {
        lock.lock();
        try {
            if (closed) {
                return false;
            }
            waiting = true;
        } finally {
            lock.unlock();
        }
        try {
            return socket.await(UeventMessages::isOfBus, atMost);
        } finally {
            left();
        }
    }

    private void left() {
        lock.lock();
        try {
            waiting = false;
            if (closed) {
                socket.close();
            }
        } finally {
            lock.unlock();
        }
    }

    /// The waiting thread closes the socket: its number must not change hands under it.
    @Override
    public void close() {
        lock.lock();
        try {
            if (closed) {
                return;
            }
            closed = true;
            if (waiting) {
                socket.end();
            } else {
                socket.close();
            }
        } finally {
            lock.unlock();
        }
    }
}
