package dev.mdev.host.machine;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.vm.MachineSpec;
import dev.mdev.vfiouser.DeviceSocket;

import org.jspecify.annotations.Nullable;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;

/// A machine that another program runs. The program reaches each of its devices by a socket.
///
/// Any thread may call all methods.
final class ExternalMachine implements AutoCloseable {
    private final String name;
    private final SocketAccess access;
    private final MachineRecords records;
    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private final Map<UUID, DeviceSocket> sockets = new LinkedHashMap<>();

    @GuardedBy("lock")
    private boolean closed;

    /// @param records where it, and its devices, are written down
    ExternalMachine(String name, SocketAccess access, MachineRecords records) {
        this.name = name;
        this.access = access;
        this.records = records;
    }

    String name() {
        return name;
    }

    /// What it takes of the host's limits: a place.
    MachineSpec spec() {
        return specOf(name);
    }

    /// The same for a machine of this name.
    static MachineSpec specOf(String name) {
        return new MachineSpec(name, 0, 1);
    }

    /// Who may connect.
    SocketAccess access() {
        return access;
    }

    /// Its devices, in the order of attachment.
    List<DeviceSocket> sockets() {
        lock.lock();
        try {
            return List.copyOf(sockets.values());
        } finally {
            lock.unlock();
        }
    }

    /// The result of [#attach].
    record Attached(DeviceSocket socket, boolean now) {}

    /// Attaches a device, and writes that down.
    ///
    /// @param open offers it at a socket
    /// @throws MdevException ESHUTDOWN if the machine is deleted, EBUSY if a former device with its
    ///   uuid is still attached, the files' error if it cannot be written down; otherwise as
    ///   [DeviceSocket#open]
    Attached attach(Mdev mdev, Function<Mdev, DeviceSocket> open) {
        DeviceSocket there = find(mdev.uuid());
        if (there != null && there.mdev() == mdev) {
            return new Attached(there, false);
        }
        if (there != null) {
            throw new MdevException(
                    Errno.EBUSY,
                    "mdev=%s was removed and made again: detach the former one first"
                            .formatted(mdev.uuid()));
        }
        // Without the lock: it may call the driver. Only one caller gets the device.
        DeviceSocket made = open.apply(mdev);
        if (!keep(made)) {
            made.close();
            throw new MdevException(Errno.ESHUTDOWN, "machine=%s is deleted".formatted(name));
        }
        try {
            records.attached(name, mdev.uuid());
        } catch (RuntimeException e) {
            end(made);
            throw e;
        }
        return new Attached(made, true);
    }

    private @Nullable DeviceSocket find(UUID uuid) {
        lock.lock();
        try {
            return sockets.get(uuid);
        } finally {
            lock.unlock();
        }
    }

    private boolean keep(DeviceSocket made) {
        lock.lock();
        try {
            return !closed && sockets.putIfAbsent(made.mdev().uuid(), made) == null;
        } finally {
            lock.unlock();
        }
    }

    /// Detaches a device: ends its connection, and deletes its socket. That is written down first,
    /// so that a device that was detached does not come back.
    ///
    /// @throws MdevException ENODEV if it is not attached, ETIMEDOUT if a request of its client is
    ///   stuck in a driver's callback, or the files' error; it stays attached then
    void detach(UUID uuid) {
        records.detached(name, uuid::equals);
        DeviceSocket socket = find(uuid);
        if (socket == null) {
            throw new MdevException(
                    Errno.ENODEV, "mdev=%s is not in machine=%s".formatted(uuid, name));
        }
        end(socket);
    }

    private void end(DeviceSocket socket) {
        socket.close();
        lock.lock();
        try {
            sockets.remove(socket.mdev().uuid(), socket);
        } finally {
            lock.unlock();
        }
    }

    /// Detaches all devices, and writes down that the machine is no longer. After a failure, call
    /// again.
    ///
    /// @throws MdevException as [#detach]
    void delete() {
        records.deleted(name);
        close();
    }

    /// Detaches all devices at the end of the service: they come back with the next one. After a
    /// failure, call again.
    @Override
    public void close() {
        lock.lock();
        try {
            closed = true;
        } finally {
            lock.unlock();
        }
        sockets().forEach(this::end);
    }
}
