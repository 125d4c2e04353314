package dev.mdev.host.machine;

import dev.mdev.host.label.Metadata;
import dev.mdev.host.web.Tagged;
import dev.mdev.vfiouser.ConnectionStatus;
import dev.mdev.vfiouser.DeviceSocket;

import org.jspecify.annotations.Nullable;

import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.UUID;

/// A machine of another program, as clients see it.
///
/// @param kind `external`
/// @param displayName a name for people
/// @param labels words to select by
record ExternalMachineView(
        String name,
        String kind,
        List<Device> devices,
        @Nullable String displayName,
        @Nullable String description,
        SortedMap<String, String> labels)
        implements AnyMachine {
    /// A device of the machine.
    ///
    /// @param socket where the program connects
    /// @param residentPages pages of its BARs that are mapped now
    /// @param connection the program; absent while none is connected
    /// @param refused connections that were refused
    /// @param lastFailure why the last connection failed or was refused; absent if none did
    record Device(
            UUID mdev,
            String socket,
            long residentPages,
            @Nullable Connection connection,
            long refused,
            @Nullable String lastFailure)
            implements AnyDevice {}

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

    static ExternalMachineView of(ExternalMachine machine, Metadata metadata) {
        return new ExternalMachineView(
                machine.name(),
                NewMachine.EXTERNAL,
                machine.sockets().stream().map(ExternalMachineView::device).toList(),
                metadata.displayName(),
                metadata.description(),
                metadata.labels());
    }

    @Override
    public String etag() {
        return Tagged.of(
                name,
                devices.stream().map(Device::mdev).toList(),
                new Metadata(displayName, description, labels));
    }

    static Device device(DeviceSocket socket) {
        return new Device(
                socket.mdev().uuid(),
                socket.path().toString(),
                socket.mdev().residentPages(),
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
