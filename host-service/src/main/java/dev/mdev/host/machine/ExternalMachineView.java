package dev.mdev.host.machine;

import dev.mdev.vfiouser.ConnectionStatus;
import dev.mdev.vfiouser.DeviceSocket;

import org.jspecify.annotations.Nullable;

import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/// A machine of another program, as clients see it.
///
/// @param kind `external`
record ExternalMachineView(String name, String kind, List<Device> devices) implements AnyMachine {
    /// A device of the machine.
    ///
    /// @param socket where the program connects
    /// @param connection the program; absent while none is connected
    /// @param refused connections that were refused
    /// @param lastFailure why the last connection failed or was refused; absent if none did
    record Device(
            UUID mdev,
            String socket,
            @Nullable Connection connection,
            long refused,
            @Nullable String lastFailure) {}

    /// A connected program.
    ///
    /// @param pid its process; 0 if that is in another process namespace
    /// @param version of the protocol; absent before it is agreed
    /// @param requests how many came, by command
    /// @param errors requests that failed
    record Connection(
            int pid,
            int uid,
            Instant since,
            @Nullable String version,
            Map<String, Long> requests,
            long errors,
            Dma dma) {}

    /// The guest memory that the device may reach.
    record Dma(int maps, long bytes) {}

    static ExternalMachineView of(ExternalMachine machine) {
        return new ExternalMachineView(
                machine.name(),
                NewMachine.EXTERNAL,
                machine.sockets().stream().map(ExternalMachineView::device).toList());
    }

    static Device device(DeviceSocket socket) {
        return new Device(
                socket.mdev().uuid(),
                socket.path().toString(),
                socket.connection().map(ExternalMachineView::connection).orElse(null),
                socket.refused(),
                textOrNull(socket.lastFailure()));
    }

    private static Connection connection(ConnectionStatus status) {
        return new Connection(
                status.pid(),
                status.uid(),
                status.since(),
                textOrNull(status.version()),
                status.requests(),
                status.errors(),
                new Dma(status.dmaMaps(), status.dmaBytes()));
    }

    private static @Nullable String textOrNull(String text) {
        return text.isEmpty() ? null : text;
    }
}
