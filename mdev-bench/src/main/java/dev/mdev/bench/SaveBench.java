package dev.mdev.bench;

import dev.mdev.api.page.Page;
import dev.mdev.core.bus.BusOptions;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.engine.kvm.KvmEngine;
import dev.mdev.core.engine.kvm.mm.MemfdMemory;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.machinestate.SaveReport;
import dev.mdev.core.store.MemoryFiles;
import dev.mdev.core.vm.GuestProgram;
import dev.mdev.core.vm.MachineSave;
import dev.mdev.core.vm.MachineSpec;
import dev.mdev.core.vm.ProgramResult;
import dev.mdev.core.vm.VirtualMachine;

import java.io.IOException;
import java.io.OutputStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;

/// Saves of a machine while its guest runs, to a reader that takes everything: how long the guest
/// stands still, beside a plain copy of the pages that are saved meanwhile.
///
/// ```
/// mvn -Pbench -pl mdev-bench -am package -DskipTests -Dbench=software -Dbench.main=dev.mdev.bench.SaveBench
/// ```
public final class SaveBench {
    private static final int ROUNDS = 9;
    private static final long RAM_BYTES = 256L << 20;
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private final VirtualMachine machine;
    private final MdevBus bus;
    private final PageCopies copies;

    private SaveBench(VirtualMachine machine, MdevBus bus, PageCopies copies) {
        this.machine = machine;
        this.bus = bus;
        this.copies = copies;
    }

    /// @param args `software` or `kvm`
    public static void main(String[] args) throws IOException {
        Engine engine =
                args.length > 0 && args[0].equals("kvm")
                        ? new KvmEngine(PATIENCE)
                        : new SoftwareEngine(PATIENCE);
        try (HostMemory memory = new HostMemory(new MemfdMemory());
                MdevBus bus =
                        new MdevBus(
                                memory,
                                new MemoryFiles(),
                                BusOptions.of(PATIENCE, MdevObserver.NONE));
                VirtualMachine machine =
                        new VirtualMachine(new MachineSpec("m", RAM_BYTES, 1), engine, memory);
                PageCopies copies = new PageCopies()) {
            SaveBench bench = new SaveBench(machine, bus, copies);
            bench.write(Page.numberOf(RAM_BYTES), 1);
            for (long mib : new long[] {0, 1, 16}) {
                bench.measure(engine.name(), mib);
            }
        }
    }

    /// @param mib what the guest writes to, again and again
    private void measure(String engine, long mib) throws IOException {
        AtomicBoolean enough = new AtomicBoolean();
        CompletableFuture<Long> guest =
                CompletableFuture.supplyAsync(() -> {
                    long pages = 0;
                    while (mib > 0 && !enough.get()) {
                        write(Page.numberOf(mib << 20), pages);
                        pages += Page.numberOf(mib << 20);
                    }
                    return pages;
                });
        List<SaveReport> reports = new ArrayList<>();
        long start = System.nanoTime();
        for (int round = -2; round < ROUNDS; round++) {
            SaveReport report = new MachineSave(machine, bus).run(OutputStream.nullOutputStream());
            // The first ones warm up.
            if (round >= 0) {
                reports.add(report);
            }
        }
        double seconds = (System.nanoTime() - start) / 1e9;
        enough.set(true);
        double written = guest.join() / seconds;
        reports.sort(Comparator.comparingLong(SaveReport::stopNanos));
        SaveReport median = reports.get(ROUNDS / 2);
        SaveReport longest = reports.getLast();
        System.out.printf(
                Locale.ROOT,
                "%s, the guest writes to %d MiB, %.0f pages a second: %d rounds, stop %.2f ms"
                        + " (longest %.2f) with %d pages; a plain copy of them %.2f ms%n",
                engine,
                mib,
                written,
                median.rounds(),
                median.stopNanos() / 1e6,
                longest.stopNanos() / 1e6,
                median.stoppedPages(),
                median.stoppedPages() * copies.nanosPerPage() / 1e6);
    }

    private void write(long pages, long value) {
        Span span = new Span(0, 8, pages, Page.SIZE);
        ProgramResult result =
                machine.vcpu(0)
                        .execute(
                                new GuestProgram(
                                        List.of(new GuestProgram.Step.Write(span, value, 1)),
                                        false),
                                PATIENCE)
                        .join();
        if (result.end() != ProgramResult.End.COMPLETED) {
            throw new IllegalStateException(result.toString());
        }
    }
}
