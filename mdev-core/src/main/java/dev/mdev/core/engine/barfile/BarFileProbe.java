package dev.mdev.core.engine.barfile;

import dev.mdev.api.MdevException;
import dev.mdev.core.engine.EngineProbe;
import dev.mdev.core.engine.EngineProbe.Finding;
import dev.mdev.core.sys.LinuxAbi;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;

import java.util.ArrayList;
import java.util.List;

/// Looks for what [BarFileSystem] needs.
final class BarFileProbe {
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
            findings.add(MountRights.ofThisProcess().finding());
        }
        return new EngineProbe(findings);
    }

    private Finding device() {
        String need = FuseMounts.DEVICE + " can be opened";
        try (NativeFd _ = sys.open(FuseMounts.DEVICE, LinuxAbi.O_RDWR)) {
            return new Finding(need, true, "opened", "");
        } catch (MdevException | LinkageError e) {
            return new Finding(
                    need,
                    false,
                    e.toString(),
                    "load the fuse module, and give this process read and write access to "
                            + FuseMounts.DEVICE);
        }
    }
}
