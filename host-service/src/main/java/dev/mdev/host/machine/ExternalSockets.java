package dev.mdev.host.machine;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.vfiouser.DeviceSocket;
import dev.mdev.vfiouser.DeviceStates;
import dev.mdev.vfiouser.SessionOptions;

import org.springframework.stereotype.Component;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.UUID;

/// Makes the sockets of the machines of other programs.
@Component
class ExternalSockets {
    /// The folder shows nothing; who may use a socket is a matter of the socket.
    private static final String FOLDER_PERMISSIONS = "rwx--x--x";

    private final HostMemory memory;
    private final SocketProperties properties;
    private final ExternalBars bars;
    private final DeviceStates states;

    ExternalSockets(
            HostMemory memory, SocketProperties properties, ExternalBars bars, MdevBus bus) {
        this.memory = memory;
        this.properties = properties;
        this.bars = bars;
        this.states = new BusStates(bus);
    }

    /// A client migrates a device by the verbs of the bus.
    private record BusStates(MdevBus bus) implements DeviceStates {
        @Override
        public void save(UUID uuid, OutputStream out) throws IOException {
            var _ = bus.save(uuid, out);
        }

        @Override
        public void restore(UUID uuid, InputStream in) throws IOException {
            bus.restore(uuid, in);
        }
    }

    /// Offers a device.
    ///
    /// @throws MdevException as [DeviceSocket#open]; EACCES if the folder cannot be made
    DeviceSocket open(ExternalMachine machine, Mdev mdev) {
        SessionOptions usual = SessionOptions.DEFAULT;
        return DeviceSocket.open(
                mdev,
                memory,
                new DeviceSocket.Settings(
                        folder().resolve(mdev.uuid() + ".sock"),
                        machine.access().permissions(),
                        machine.access().owner(),
                        machine.access().group(),
                        machine.name(),
                        new SessionOptions(
                                usual.limits(),
                                properties.socketSpin(),
                                usual.accessTimeout(),
                                usual.replyTimeout(),
                                usual.sendTimeout(),
                                usual.dmaTimeout(),
                                usual.releaseGrace()),
                        bars,
                        states));
    }

    private Path folder() {
        Path folder = properties.socketDir();
        try {
            if (!Files.isDirectory(folder)) {
                Files.createDirectories(
                        folder,
                        PosixFilePermissions.asFileAttribute(
                                PosixFilePermissions.fromString(FOLDER_PERMISSIONS)));
            }
            return folder.toAbsolutePath();
        } catch (IOException e) {
            throw new MdevException(
                    Errno.EACCES, "no folder for sockets: mdev.socket-dir=" + folder, e);
        }
    }
}
