package dev.mdev.gpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.PoolShare;
import dev.mdev.gpu.GpuGuest.Rows;
import dev.mdev.testkit.InMemoryHost;
import dev.mdev.testkit.InMemoryMdev;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/// Moving a device in the middle of its work.
final class GpuStateTest {
    private static final int MIB = 1 << 20;

    private final InMemoryHost host =
            new InMemoryHost(new GpuParentDriver(false), Map.of("types-mib", "4"));
    private final Engine engine = ((GpuParent) host.parent().device()).engine();

    @AfterEach
    void close() {
        host.close();
    }

    private GpuGuest device() {
        return new GpuGuest(host.parent().create("gpu-sample-4m"));
    }

    /// Overlapping rows, so that a repeated or omitted part shows.
    private static void submit(GpuGuest guest) {
        guest.start();
        byte[] data = new byte[MIB];
        for (int i = 0; i < data.length; i++) {
            data[i] = (byte) (i * 31 + (i >> 9));
        }
        guest.mdev().guestMemory().poke(0x40_0000, MemorySegment.ofArray(data));
        guest.put(GpuGuest.copy(Command.COPY_IN, new Rows(100, 5000, 4000, 250), 0x40_0000, 4000));
        guest.put(GpuGuest.copy(Command.BLIT, new Rows(777, 5000, 4000, 600), 0, 5000));
        guest.put(GpuGuest.fill(0x0A0B0C0D, new Rows(2 * MIB, 4096, 17, 300)));
        guest.put(GpuGuest.fence(1234));
        guest.ring();
    }

    @Test
    void workGoesOnWhereItWasSaved() {
        GpuGuest reference = device();
        submit(reference);
        GpuGuest.drain(engine);
        byte[] expected = reference.loadVram(4 * MIB);
        for (int rounds = 1; rounds < 60; rounds += 7) {
            GpuGuest from = device();
            submit(from);
            for (int i = 0; i < rounds; i++) {
                engine.runRound();
            }
            GpuGuest to = move(from);
            GpuGuest.drain(engine);
            assertThat(to.error()).isEqualTo(QueueError.NONE);
            assertThat(to.queueLong(QueueState.FENCE)).as("rounds=%d", rounds).isEqualTo(1234);
            assertThat(to.fencePage()).as("rounds=%d", rounds).isEqualTo(1234);
            assertThat(Arrays.mismatch(to.loadVram(4 * MIB), expected))
                    .as("rounds=%d", rounds)
                    .isEqualTo(-1);
            to.mdev().close();
        }
    }

    /// In the middle of a command, and of the ring: the remaining work happens on the target, and
    /// only there.
    @Test
    void aDeviceThatMovesInTheMiddleOfACommandDeliversItsFencesOverThere() {
        GpuGuest from = device();
        from.start();
        from.put(GpuGuest.fence(1));
        from.put(GpuGuest.fill(0x5A5A_5A5A, Rows.of(0, MIB)));
        from.put(GpuGuest.fence(2));
        from.put(GpuGuest.fill(0x2B2B_2B2B, Rows.of(MIB, 4096)));
        from.put(GpuGuest.fence(3));
        from.ring();
        engine.runRound();
        assertThat(from.queue(QueueState.STATUS)).as("enabled, in a command").isEqualTo(1 | 4);
        assertThat(from.queue(QueueState.HEAD)).isEqualTo(1);
        assertThat(from.fencePage()).isEqualTo(1);
        assertThat(from.mdev().interrupts().count(0)).isEqualTo(1);

        GpuGuest to = move(from);
        assertThat(to.queue(QueueState.STATUS)).isEqualTo(1 | 4);
        assertThat(to.queue(QueueState.HEAD)).isEqualTo(1);
        assertThat(to.fencePage()).as("before the engine runs").isEqualTo(1);
        GpuGuest.drain(engine);
        assertThat(to.queue(QueueState.HEAD)).isEqualTo(5);
        assertThat(to.fencePage()).isEqualTo(3);
        assertThat(to.mdev().interrupts().count(0)).as("fences 2 and 3").isEqualTo(2);
        byte[] vram = to.loadVram(MIB + 4096);
        assertThat(Arrays.copyOf(vram, MIB)).containsOnly(0x5A);
        assertThat(Arrays.copyOfRange(vram, MIB, MIB + 4096)).containsOnly(0x2B);
        to.resumeAt(5);
        to.put(GpuGuest.fence(4));
        to.ring();
        GpuGuest.drain(engine);
        assertThat(to.fencePage()).as("the ring goes on").isEqualTo(4);
    }

    /// The host moves only idle devices; this one's guest makes the test harder.
    @Test
    void workGoesOnWhenThePagesAreOthers() {
        GpuGuest reference = device();
        submit(reference);
        GpuGuest.drain(engine);
        byte[] expected = reference.loadVram(4 * MIB);
        GpuGuest guest = device();
        submit(guest);
        List<PoolShare> before = guest.mdev().share();
        for (int moves = 0; moves < 8; moves++) {
            engine.runRound();
            assertThat(guest.mdev().move()).isTrue();
        }
        GpuGuest.drain(engine);

        assertThat(guest.mdev().share()).isNotEqualTo(before);
        assertThat(guest.error()).isEqualTo(QueueError.NONE);
        assertThat(guest.queueLong(QueueState.FENCE)).isEqualTo(1234);
        assertThat(Arrays.mismatch(guest.loadVram(4 * MIB), expected)).isEqualTo(-1);
    }

    /// As a host moves a device, with the guest's memory.
    private GpuGuest move(GpuGuest from) {
        InMemoryMdev.Saved saved = from.mdev().save().orElseThrow();
        byte[] ram = new byte[(int) from.mdev().guestMemory().sizeBytes()];
        from.mdev().guestMemory().peek(0, MemorySegment.ofArray(ram));
        from.mdev().close();
        GpuGuest to = device();
        to.mdev().guestMemory().poke(0, MemorySegment.ofArray(ram));
        assertThat(to.mdev().restore(saved)).isTrue();
        to.mdev().resume();
        return to;
    }

    @Test
    void aStoppedDeviceDoesNothingUntilItIsResumed() {
        GpuGuest guest = device();
        submit(guest);
        engine.runRound();
        InMemoryMdev.Saved saved = guest.mdev().save().orElseThrow();
        assertThat(engine.runRound()).isZero();
        InMemoryMdev.Saved again = guest.mdev().save().orElseThrow();
        assertThat(again.state()).isEqualTo(saved.state());
        assertThat(Arrays.mismatch(again.pages(), saved.pages())).isEqualTo(-1);
        guest.mdev().resume();
        assertThat(engine.runRound()).isPositive();
    }

    @Test
    void thePictureMovesToo() {
        GpuGuest from = device();
        from.setMode(320, 200, 8);
        from.mdev().guest().store(GpuGuest.MMIO, 0x408, 1, 5);
        for (int colour : new int[] {10, 20, 30}) {
            from.mdev().guest().store(GpuGuest.MMIO, 0x409, 1, colour);
        }
        from.mdev().guest().store(GpuGuest.VRAM, 320, 4, 0x0505_0505);
        int[] before = from.mdev().picture().orElseThrow().rgb();
        assertThat(move(from).mdev().picture().orElseThrow().rgb()).isEqualTo(before);
    }
}
