package dev.mdev.host;

import java.util.List;
import java.util.Optional;

/// What the program says about itself without starting.
final class Usage {
    private static final String HELP =
            """
            usage: mdev-host [--NAME=VALUE]...
                   mdev-host --help | --version

            The host service of mediated devices: splits devices among virtual machines.
            It serves REST and a page for browsers at http://127.0.0.1:8080/ until SIGTERM.

            Some settings; the operator's guide lists all of them:
              --server.address=ADDRESS      where it listens (127.0.0.1)
              --server.port=PORT            (8080)
              --mdev.engine=ENGINE          what runs the guests: auto, software or kvm (auto)
              --mdev.state-dir=FOLDER       keeps definitions over restarts (none)
              --mdev.plugin-dir=FOLDER      jars of drivers (none)
              --mdev.socket-dir=FOLDER      sockets of devices for QEMU (/run/mdev-host)
              --mdev.max-memory=SIZE        RAM of machines and apertures together (8GB)
              --mdev.drivers.NAME.SETTING=VALUE
                                            a setting of a driver
              --spring.config.additional-location=file:/etc/mdev/
                                            also reads application.yaml of this folder
            """;

    private Usage() {}

    /// What to print instead of a start, if the arguments ask for it.
    static Optional<String> answerTo(String[] args) {
        List<String> asked = List.of(args);
        if (asked.contains("--help") || asked.contains("-h")) {
            return Optional.of(HELP);
        }
        if (asked.contains("--version")) {
            String version = Usage.class.getPackage().getImplementationVersion();
            return Optional.of(
                    "mdev-host %s%nJava %s%n"
                            .formatted(
                                    version == null ? "of a build without a version" : version,
                                    Runtime.version()));
        }
        return Optional.empty();
    }
}
