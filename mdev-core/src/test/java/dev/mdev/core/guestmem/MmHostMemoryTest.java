package dev.mdev.core.guestmem;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.engine.software.SoftwareGuest;
import dev.mdev.core.guestmem.HostMemoryAccess.Exchange;
import dev.mdev.core.hostmm.Fill;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.support.Seeded;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;

class MmHostMemoryTest {
    private final HostMemory memory = new HostMemory(new OffHeapBackend());
    private final HostMemory.Block block = memory.allocate("ram", 2);
    private final SoftwareGuest guest =
            new SoftwareEngine(Duration.ofSeconds(60))
                    .createGuest(new AddressSpaces(SlotConfig.withoutSmm()), memory);
    private final AtomicInteger faults = new AtomicInteger();
    private final Vma vma =
            guest.hostMm()
                    .reserve(
                            2,
                            Prot.READ_WRITE,
                            0,
                            fault -> {
                                faults.incrementAndGet();
                                return new Fill.Map(
                                        fault.page(),
                                        new PfnRange(block.pfns().firstPfn() + fault.page(), 1),
                                        Prot.READ_WRITE);
                            });
    private final MmHostMemory host = new MmHostMemory(guest.hostMm());
    private final long hva = vma.range().startHva();

    @AfterEach
    void close() {
        guest.close();
        memory.close();
    }

    private static MemorySegment bytes(int count) {
        return MemorySegment.ofArray(new byte[count]);
    }

    @Test
    void whatIsReadWithoutAFaultIsThereAlreadyOrNotRead() {
        assertThat(host.readWithoutFault(hva, bytes(8))).isFalse();
        assertThat(faults).hasValue(0);
        assertThat(host.read(hva, bytes(8))).isTrue();
        assertThat(host.readWithoutFault(hva, bytes(8))).isTrue();
        assertThat(faults).hasValue(1);
    }

    @Test
    void anAccessorWithoutFaultsFaultsNothingIn() {
        MmHostMemory resident = MmHostMemory.withoutFaults(guest.hostMm());

        assertThat(resident.read(hva, bytes(8))).isFalse();
        assertThat(resident.write(hva, bytes(8))).isFalse();
        assertThat(resident.compareExchange(hva, 8, 0, 1)).isEqualTo(Exchange.FAULT);
        assertThat(faults).hasValue(0);
        assertThat(host.write(hva, bytes(8))).isTrue();
        assertThat(resident.write(hva, bytes(8))).isTrue();
        assertThat(resident.compareExchange(hva, 8, 0, 1)).isEqualTo(Exchange.EXCHANGED);
    }

    /// All widths, in all places of a word: the bytes beside the value stay, and those of the
    /// arguments beyond the width do not count.
    @Test
    void anExchangeTouchesItsBytesAndNoOthers() {
        Seeded.run(
                2000,
                random -> {
                    byte[] before = new byte[32];
                    random.nextBytes(before);
                    host.write(hva, MemorySegment.ofArray(before));
                    int width = 1 << random.nextInt(4);
                    int at = random.nextInt(32 / width) * width;
                    long held = valueAt(before, at, width);
                    boolean same = random.nextBoolean();
                    long expected = (same ? held : held ^ (1L << random.nextInt(width * 8)));
                    long garbage = width == 8 ? 0 : random.nextLong() << (width * 8);
                    long replacement = random.nextLong();

                    Exchange result =
                            host.compareExchange(hva + at, width, expected | garbage, replacement);

                    byte[] after = before.clone();
                    if (same) {
                        for (int i = 0; i < width; i++) {
                            after[at + i] = (byte) (replacement >>> (i * 8));
                        }
                    }
                    byte[] found = new byte[32];
                    host.read(hva, MemorySegment.ofArray(found));
                    assertThat(result).isEqualTo(same ? Exchange.EXCHANGED : Exchange.DIFFERENT);
                    assertThat(found).isEqualTo(after);
                });
    }

    private static long valueAt(byte[] bytes, int at, int width) {
        long value = 0;
        for (int i = 0; i < width; i++) {
            value |= (bytes[at + i] & 0xffL) << (i * 8);
        }
        return value;
    }

    @Test
    void whereNothingIsMappedEverythingFails() {
        long nowhere = hva + 64 * Page.SIZE;

        assertThat(host.read(nowhere, bytes(8))).isFalse();
        assertThat(host.write(nowhere, bytes(8))).isFalse();
        assertThat(host.compareExchange(nowhere, 4, 0, 1)).isEqualTo(Exchange.FAULT);
    }
}
