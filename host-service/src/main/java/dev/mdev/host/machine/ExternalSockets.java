package dev.mdev.host.machine;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.vfiouser.BarFiles;
import dev.mdev.vfiouser.DeviceSocket;
import dev.mdev.vfiouser.SessionOptions;

import org.springframework.stereotype.Component;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;

/// Makes the sockets of the machines of other programs.
@Component
class ExternalSockets {
    /// The folder shows nothing; who may use a socket is a matter of the socket.
    private static final String FOLDER_PERMISSIONS = "rwx--x--x";

    private final HostMemory memory;
    private final SocketProperties properties;

    ExternalSockets(HostMemory memory, SocketProperties properties) {
        this.memory = memory;
        this.properties = properties;
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
                                usual.dmaTimeout(),
                                usual.releaseGrace()),
                        BarFiles.NONE));
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
