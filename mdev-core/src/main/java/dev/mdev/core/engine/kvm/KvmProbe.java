package dev.mdev.core.engine.kvm;

import dev.mdev.api.MdevException;
import dev.mdev.core.engine.EngineProbe;
import dev.mdev.core.engine.EngineProbe.Finding;
import dev.mdev.core.engine.kvm.kernel.KernelFile;
import dev.mdev.core.engine.kvm.kernel.KvmVm;
import dev.mdev.core.engine.kvm.mm.Userfaultfd;
import dev.mdev.core.engine.kvm.mm.VmaBudget;
import dev.mdev.core.sys.KvmAbi;
import dev.mdev.core.sys.Syscalls;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/// Looks for what [KvmEngine] needs.
final class KvmProbe {
    private static final Path LIMITS = Path.of("/proc/self/limits");
    private static final Path KERNEL_RELEASE = Path.of("/proc/sys/kernel/osrelease");

    private final Syscalls sys;
    private final VmaBudget budget;

    KvmProbe(Syscalls sys, VmaBudget budget) {
        this.sys = sys;
        this.budget = budget;
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
                        here ? "" : "use the software engine on this machine"));
        if (here) {
            findings.add(kernel());
            findings.add(kvm());
            findings.add(userfaultfd());
            findings.add(lockedMemory());
            findings.add(
                    new Finding(
                            "room for mappings",
                            budget.used() < budget.limit(),
                            "used=%d limit=%d".formatted(budget.used(), budget.limit()),
                            budget.used() < budget.limit() ? "" : "raise vm.max_map_count"));
        }
        return new EngineProbe(findings);
    }

    /// Since 6.2 a signal wakes a virtual processor that sleeps in a page fault; a refusal of a
    /// fault depends on this.
    private static Finding kernel() {
        String need = "Linux 6.2 or later";
        String remedy = "boot a newer kernel";
        try {
            String release = KernelFile.read(KERNEL_RELEASE);
            String[] parts = release.split("[.-]", 3);
            int major = Integer.parseInt(parts[0]);
            int minor = Integer.parseInt(parts[1]);
            boolean met = major > 6 || (major == 6 && minor >= 2);
            return new Finding(need, met, release, met ? "" : remedy);
        } catch (IOException | RuntimeException e) {
            return new Finding(need, false, "the release cannot be read: " + e, remedy);
        }
    }

    private Finding kvm() {
        String need = KvmVm.DEVICE + " makes machines with synchronized page tables";
        try (KvmVm vm = KvmVm.create(sys)) {
            boolean met =
                    vm.checkExtension(KvmAbi.KVM_CAP_USER_MEMORY) != 0
                            && vm.checkExtension(KvmAbi.KVM_CAP_SYNC_MMU) != 0
                            && vm.checkExtension(KvmAbi.KVM_CAP_READONLY_MEM) != 0
                            && vm.checkExtension(KvmAbi.KVM_CAP_IMMEDIATE_EXIT) != 0;
            return new Finding(
                    need,
                    met,
                    "slots=%d physicalAddressBits=%d"
                            .formatted(
                                    vm.checkExtension(KvmAbi.KVM_CAP_NR_MEMSLOTS),
                                    vm.physicalAddressBits()),
                    met ? "" : "boot a newer kernel");
        } catch (MdevException | LinkageError e) {
            return new Finding(
                    need,
                    false,
                    e.toString(),
                    "load the kvm module, and give this process read and write access to "
                            + KvmVm.DEVICE);
        }
    }

    private Finding userfaultfd() {
        String need = Userfaultfd.DEVICE + " reports faults of shared memory";
        try (Userfaultfd _ = Userfaultfd.open(sys)) {
            return new Finding(need, true, "opened", "");
        } catch (MdevException | LinkageError e) {
            return new Finding(
                    need,
                    false,
                    e.toString(),
                    "give this process read and write access to %s; vm.unprivileged_userfaultfd"
                                    .formatted(Userfaultfd.DEVICE)
                            + " has no effect on this device");
        }
    }

    /// Operators know this limit from other ways to give devices to guests, and look for it.
    private static Finding lockedMemory() {
        String need = "locked memory: none";
        try (Stream<String> limits = Files.lines(LIMITS)) {
            return new Finding(
                    need,
                    true,
                    limits.filter(line -> line.startsWith("Max locked memory"))
                            .findFirst()
                            .map(line -> line.strip().replaceAll(" +", " "))
                            .orElse("no limit is known"),
                    "");
        } catch (IOException | UncheckedIOException e) {
            return new Finding(need, true, "the limit cannot be read: " + e, "");
        }
    }
}
