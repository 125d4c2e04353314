package dev.mdev.bench;

import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.kvm.KvmEngine;
import dev.mdev.core.engine.kvm.kernel.KvmVm;
import dev.mdev.core.engine.kvm.mm.MemfdMemory;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.MemoryBackend;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.core.sys.Syscalls;
import dev.mdev.core.vm.MachineSpec;
import dev.mdev.core.vm.VirtualMachine;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;

/// The price of RAM that nobody touches: creates machines with much of it, and prints the time of
/// each and the resident memory of the process before and after. For the `kvm` engine it also
/// prints what the kernel takes for a bare slot of that size, for which it keeps an array.
///
/// Fails if a machine takes 50 ms or more beyond that, or adds 4 MiB or more: the fastest of the
/// rounds, and the median of the memory.
public final class MachineBench {
    private static final int ROUNDS = 9;
    private static final long MOST_NANOS = Duration.ofMillis(50).toNanos();
    private static final long MOST_KIB = 4096;
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private MachineBench() {}

    /// @param args the RAM in GiB, or nothing for 64
    public static void main(String[] args) throws IOException {
        long gib = args.length == 0 || args[0].equals(".") ? 64 : Long.parseLong(args[0]);
        boolean ok = measure(new SoftwareEngine(PATIENCE), gib, 0);
        Engine kvm = new KvmEngine(PATIENCE);
        if (kvm.probe().isAvailable()) {
            ok &= measure(kvm, gib, bareSlotNanos(gib));
        } else {
            System.out.println("kvm: not available");
        }
        System.exit(ok ? 0 : 1);
    }

    /// What the kernel alone takes to create a slot; the fastest.
    private static long bareSlotNanos(long gib) {
        Syscalls sys = Syscalls.ofThisProcess();
        MemoryBackend.Backing ram = new MemfdMemory(sys).allocate("ram", gib << 30);
        long[] nanos = new long[ROUNDS];
        for (int round = 0; round < ROUNDS; round++) {
            try (KvmVm vm = KvmVm.create(sys)) {
                long start = System.nanoTime();
                vm.setUserMemoryRegion(
                        new UserMemoryRegion(0, 0, 0, gib << 30, ram.segment().address()));
                nanos[round] = System.nanoTime() - start;
            }
        }
        ram.release();
        Arrays.sort(nanos);
        System.out.printf(
                "the kernel alone, a slot of %d GiB: %.1f ms (median; %.1f to %.1f)%n",
                gib, nanos[ROUNDS / 2] / 1e6, nanos[0] / 1e6, nanos[ROUNDS - 1] / 1e6);
        return nanos[0];
    }

    private static boolean measure(Engine engine, long gib, long allowedNanos) throws IOException {
        long[] nanos = new long[ROUNDS];
        long[] kib = new long[ROUNDS];
        try (HostMemory memory = new HostMemory(new MemfdMemory())) {
            // Loads the classes.
            create(engine, memory, 1).close();
            for (int round = 0; round < ROUNDS; round++) {
                System.gc();
                long before = residentKib();
                long start = System.nanoTime();
                VirtualMachine machine = create(engine, memory, gib);
                nanos[round] = System.nanoTime() - start;
                kib[round] = residentKib() - before;
                machine.close();
            }
        }
        Arrays.sort(nanos);
        Arrays.sort(kib);
        long medianKib = kib[ROUNDS / 2];
        System.out.printf(
                "%s, %d GiB: %.1f ms (median; %.1f to %.1f), %d KiB more resident (%d to %d)%n",
                engine.name(),
                gib,
                nanos[ROUNDS / 2] / 1e6,
                nanos[0] / 1e6,
                nanos[ROUNDS - 1] / 1e6,
                medianKib,
                kib[0],
                kib[ROUNDS - 1]);
        return nanos[0] - allowedNanos < MOST_NANOS && medianKib < MOST_KIB;
    }

    private static VirtualMachine create(Engine engine, HostMemory memory, long gib) {
        return new VirtualMachine(new MachineSpec("m", gib << 30, 1), engine, memory);
    }

    private static long residentKib() throws IOException {
        return Files.readAllLines(Path.of("/proc/self/status")).stream()
                .filter(line -> line.startsWith("VmRSS:"))
                .map(line -> line.replaceAll("\\D", ""))
                .mapToLong(Long::parseLong)
                .findFirst()
                .orElseThrow();
    }
}
