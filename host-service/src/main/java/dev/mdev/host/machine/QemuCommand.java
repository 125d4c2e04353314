package dev.mdev.host.machine;

import dev.mdev.vfiouser.DeviceSocket;

import java.util.ArrayList;
import java.util.List;

/// The command that starts QEMU with the devices of a machine, to be pasted into a shell.
final class QemuCommand {
    private static final String MEMORY = "4G";

    private QemuCommand() {}

    /// The command, one option a line.
    static String of(ExternalMachine machine) {
        List<String> lines = new ArrayList<>();
        lines.add("qemu-system-x86_64 -accel kvm -cpu host -name " + machine.name());
        lines.add("-machine q35,memory-backend=mem -m " + MEMORY);
        // Other memory is not shared with the device, or is, with wrong content.
        lines.add("-object memory-backend-memfd,id=mem,size=%s,share=on".formatted(MEMORY));
        machine.sockets().forEach(socket -> lines.add(device(socket)));
        return String.join(" \\\n    ", lines) + "\n";
    }

    private static String device(DeviceSocket socket) {
        String json =
                "{\"driver\":\"vfio-user-pci\",\"socket\":{\"type\":\"unix\",\"path\":\"%s\"}}"
                        .formatted(escaped(socket.path().toString()));
        return "-device '%s'".formatted(json.replace("'", "'\\''"));
    }

    private static String escaped(String path) {
        return path.replace("\\", "\\\\").replace("\"", "\\\"");
    }
}
