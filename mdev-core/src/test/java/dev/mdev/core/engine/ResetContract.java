package dev.mdev.core.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.GuestMemory;
import dev.mdev.api.MapDecision;
import dev.mdev.api.page.Prot;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.support.Together;
import dev.mdev.core.vm.AttachedDevice;
import dev.mdev.core.vm.GuestProgram;
import dev.mdev.core.vm.ProgramResult;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

/// Processors that fault while their device is reset, and devices that do so while it is restored,
/// see the device before it or after it, and never afterwards what it was before, whatever engine
/// runs them.
///
/// Each reset and each restore lets BAR page 0 be the next of [#PLACES] pages, and writes its
/// number there. A grant that survived its reset shows an older number, until its page's turn comes
/// again.
@Timeout(value = 600, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
public abstract class ResetContract extends EngineMachine {
    private static final int RESETS = Integer.getInteger("mdev.resets", 1000);
    private static final int PLACES = 4;
    private static final int ADVANCED_FEATURES = 0x13;
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

    @Test
    void noGrantFromBeforeAGuestsFunctionLevelResetSurvivesIt() throws Exception {
        AttachedDevice device = attach();
        long control = device.configGpa() + device.config().capability(ADVANCED_FEATURES) + 4;
        race(
                device,
                () -> {
                    assertCompleted(run(write(new Span(control, 1, 1, 0), 1, 0)));
                    device.runFirmware();
                });
    }

    /// As between the pages and the registers of a restore: the BAR stays where it is.
    @Test
    void noGrantFromBeforeTheDriversResetSurvivesIt() throws Exception {
        AttachedDevice device = attach();
        race(device, () -> device.mdev().resetDriver());
    }

    /// The processors stand still meanwhile. Another device of the machine does not: it reads the
    /// BAR by DMA, on two threads.
    @Test
    void noGrantFromBeforeARestoreSurvivesIt() throws Exception {
        AttachedDevice device = attach();
        var _ = attach();
        UUID uuid = device.mdev().uuid();
        ByteArrayOutputStream saved = new ByteArrayOutputStream();
        var _ = bus.save(uuid, saved);
        byte[] state = saved.toByteArray();
        driver.onChange = (_, callback) -> changeAt("restore", callback);
        GuestMemory peers = driverDevice(1).context.guestMemory();
        AtomicBoolean done = new AtomicBoolean();
        Together.Part reading = () -> readUntil(done, peers, bar(device, 0));
        Together.run(
                reading,
                reading,
                () -> {
                    try {
                        assertNothingStale(
                                device, () -> bus.restore(uuid, new ByteArrayInputStream(state)));
                    } finally {
                        done.set(true);
                    }
                });
    }

    private static void readUntil(AtomicBoolean done, GuestMemory memory, long iova) {
        MemorySegment bytes = MemorySegment.ofArray(new long[1]);
        while (!done.get()) {
            memory.read(iova, bytes);
        }
    }

    private void race(AttachedDevice device, Change reset) throws Exception {
        long bar = bar(device, 0);
        driver.onChange = (_, callback) -> changeAt("reset", callback);
        List<CompletableFuture<ProgramResult>> readers =
                List.of(
                        vm.vcpu(1).execute(reading(bar), LONG),
                        vm.vcpu(2).execute(reading(bar), LONG));
        assertNothingStale(device, reset);
        for (CompletableFuture<ProgramResult> reader : readers) {
            assertThat(reader).isNotDone();
        }
        vm.vcpu(1).interrupt();
        vm.vcpu(2).interrupt();
        for (CompletableFuture<ProgramResult> reader : readers) {
            assertInterrupted(reader);
        }
    }

    /// What lets the device begin anew.
    @FunctionalInterface
    private interface Change {
        void run() throws IOException;
    }

    private void changeAt(String expected, String callback) {
        driverDevice(0).requests.clear();
        if (callback.equals(expected)) {
            int next = generation.get() + 1;
            setDeviceLong(0, next % PLACES, 0, next);
            generation.set(next);
        }
    }

    private void assertNothingStale(AttachedDevice device, Change change) throws IOException {
        driver.answer =
                (d, request) -> {
                    asked.incrementAndGet();
                    return MapDecision.grantPage(
                            request, d.pfnOf(generation.get() % PLACES), Prot.READ_WRITE);
                };
        Span first = new Span(bar(device, 0), 8, 1, 0);
        List<String> wrong = new ArrayList<>();
        for (int i = 1; i <= RESETS; i++) {
            change.run();
            // A grant that survived is mapped now, and this processor sees what it shows.
            long seen = read(first).getFirst();
            if (seen != i) {
                wrong.add("%d after reset %d".formatted(seen, i));
            }
        }
        assertThat(wrong).as("wrong values in %d resets", RESETS).isEmpty();
        assertThat(asked.get()).as("faults").isGreaterThanOrEqualTo(RESETS);
    }

    private static GuestProgram reading(long gpa) {
        return endless(check(new Span(gpa, 8, 1L << 31, 0), 0, 0));
    }
}
