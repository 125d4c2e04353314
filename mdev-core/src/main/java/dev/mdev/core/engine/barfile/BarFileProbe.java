package dev.mdev.core.engine.barfile;

import dev.mdev.api.MdevException;
import dev.mdev.core.engine.EngineProbe;
import dev.mdev.core.engine.EngineProbe.Finding;
import dev.mdev.core.sys.LinuxAbi;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// Looks for what [BarFileSystem] needs.
final class BarFileProbe {
    private static final Path STATUS = Path.of("/proc/self/status");
    private static final int CAP_SYS_ADMIN = 21;

    private final Syscalls sys;

    BarFileProbe(Syscalls sys) {
        this.sys = sys;
    }

    EngineProbe probe() {
        List<Finding> findings = new ArrayList<>();
        String platform = System.getProperty("os.name") + " " + System.getProperty("os.arch");
        boolean here = platform.equals("Linux amd64");
        findings.add(
                new Finding(
                        "Linux on x86-64",
                        here,
                        platform,
                        here ? "" : "use devices in this process's own machines only"));
        if (here) {
            findings.add(device());
            findings.add(mayMount());
        }
        return new EngineProbe(findings);
    }

    private Finding device() {
        String need = BarMount.DEVICE + " can be opened";
        try (NativeFd _ = sys.open(BarMount.DEVICE, LinuxAbi.O_RDWR)) {
            return new Finding(need, true, "opened", "");
        } catch (MdevException | LinkageError e) {
            return new Finding(
                    need,
                    false,
                    e.toString(),
                    "load the fuse module, and give this process read and write access to "
                            + BarMount.DEVICE);
        }
    }

    private static Finding mayMount() {
        String need = "the right to mount (CAP_SYS_ADMIN)";
        String remedy = "run the service as root, or with CAP_SYS_ADMIN";
        try {
            long effective =
                    Files.readAllLines(STATUS).stream()
                            .filter(line -> line.startsWith("CapEff:"))
                            .map(line -> line.substring("CapEff:".length()).strip())
                            .mapToLong(hex -> Long.parseUnsignedLong(hex, 16))
                            .findFirst()
                            .orElse(0);
            boolean met = (effective & (1L << CAP_SYS_ADMIN)) != 0;
            return new Finding(need, met, "CapEff=%016x".formatted(effective), met ? "" : remedy);
        } catch (IOException | NumberFormatException e) {
            return new Finding(need, false, "the rights cannot be read: " + e, remedy);
        }
    }
}
