package dev.mdev.core.engine.kvm;

import dev.mdev.api.page.Page;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.hostmm.VmaOps;

import java.util.concurrent.CountDownLatch;

/// A process to be killed: a machine whose guest faults all the time, or sleeps in an unanswered
/// fault. Reports on its standard output when it has come that far.
final class KilledGuest {
    private static final int NPAGES = 4096;

    private KilledGuest() {}

    /// @param args `faulting` or `asleep`
    public static void main(String[] args) throws Exception {
        Machine machine = new Machine(NPAGES);
        CountDownLatch never = new CountDownLatch(1);
        CountDownLatch asked = new CountDownLatch(1);
        // Backwards: every page is a mapping of its own.
        VmaOps owner = machine.pageByPage(page -> NPAGES - 1 - page);
        VmaOps silent =
                fault -> {
                    asked.countDown();
                    try {
                        never.await();
                    } catch (InterruptedException e) {
                        throw new IllegalStateException(e);
                    }
                    return owner.fault(fault);
                };
        boolean asleep = args[0].equals("asleep");
        var vma = machine.bar(NPAGES, asleep ? silent : owner);
        Machine.Cpu cpu = machine.cpu();
        GuestAccess.Store all =
                new GuestAccess.Store(
                        new GuestAccess.Span(Machine.gpa(0), 8, NPAGES, Page.SIZE), 1, 1);
        if (asleep) {
            var _ = cpu.start(all);
            asked.await();
            System.out.println("ready");
            never.await();
        }
        for (boolean first = true; ; first = false) {
            var _ = cpu.run(all);
            if (first) {
                System.out.println("ready");
            }
            machine.guest.hostMm().zap(vma.range());
        }
    }
}
