package dev.mdev.core.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.MapDecision;
import dev.mdev.api.page.Prot;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.vm.AttachedDevice;
import dev.mdev.core.vm.GuestProgram;
import dev.mdev.core.vm.ProgramResult;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;

/// Processors that fault while their device is reset see the device before it or after it, and
/// never afterwards what it was before, whatever engine runs them.
///
/// Each reset lets BAR page 0 be the next of [#PLACES] pages, and writes its number there. A grant
/// that survived its reset shows an older number, until its page's turn comes again.
@Timeout(value = 600, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
public abstract class ResetContract extends EngineMachine {
    private static final int RESETS = Integer.getInteger("mdev.resets", 2000);
    private static final int PLACES = 4;
    private static final Duration LONG = Duration.ofHours(1);

    /// Resets that the driver has begun.
    private final AtomicInteger generation = new AtomicInteger();

    private final AtomicInteger asked = new AtomicInteger();

    @Test
    void noGrantFromBeforeAnOperatorsResetSurvivesIt() throws Exception {
        AttachedDevice device = attach();
        race(
                device,
                () -> {
                    device.mdev().reset();
                    device.mdev().runFirmware();
                });
    }

    /// As between the pages and the registers of a restore: the BAR stays where it is.
    @Test
    void noGrantFromBeforeTheDriversResetSurvivesIt() throws Exception {
        AttachedDevice device = attach();
        race(device, () -> device.mdev().resetDriver());
    }

    private void race(AttachedDevice device, Runnable reset) throws Exception {
        long bar = bar(device, 0);
        driver.answer =
                (d, request) -> {
                    asked.incrementAndGet();
                    return MapDecision.grantPage(
                            request, d.pfnOf(generation.get() % PLACES), Prot.READ_WRITE);
                };
        driver.onReset =
                () -> {
                    driverDevice(0).requests.clear();
                    int next = generation.get() + 1;
                    setDeviceLong(0, next % PLACES, 0, next);
                    generation.set(next);
                };
        List<CompletableFuture<ProgramResult>> readers =
                List.of(
                        vm.vcpu(1).execute(endless(bar), LONG),
                        vm.vcpu(2).execute(endless(bar), LONG));
        List<String> wrong = new ArrayList<>();
        for (int i = 1; i <= RESETS; i++) {
            reset.run();
            // A grant that survived is mapped now, and this processor sees what it shows.
            long seen = read(new Span(bar, 8, 1, 0)).getFirst();
            if (seen != i) {
                wrong.add("%d after reset %d".formatted(seen, i));
            }
        }
        assertThat(wrong).as("wrong values in %d resets", RESETS).isEmpty();
        assertThat(asked.get()).as("faults").isGreaterThanOrEqualTo(RESETS);
        for (CompletableFuture<ProgramResult> reader : readers) {
            assertThat(reader).isNotDone();
        }
        vm.vcpu(1).interrupt();
        vm.vcpu(2).interrupt();
        for (CompletableFuture<ProgramResult> reader : readers) {
            assertInterrupted(reader);
        }
    }

    private static GuestProgram endless(long gpa) {
        return program(check(new Span(gpa, 8, 1L << 31, 0), 0, 0));
    }
}
