package dev.mdev.core.dirty;

import static dev.mdev.core.memslot.SlotFlags.LOG_DIRTY_PAGES;
import static dev.mdev.core.memslot.SlotRequests.region;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.dirty.ProtectRecorder.Batch;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotChange;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.SlotIds;
import dev.mdev.core.memslot.SlotListener;
import dev.mdev.core.memslot.SlotRequests;
import dev.mdev.core.memslot.UserMemoryRegion;

import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

class DirtyLogTest {
    private static final int UNLOGGED = 9;

    private final AddressSpaces slots = new AddressSpaces(SlotConfig.x86());
    private final DirtyModes modes = new DirtyModes(slots, DirtyHardware.x86());
    private final ProtectRecorder protector = new ProtectRecorder();
    private final DirtyLog log = new DirtyLog(slots, modes, protector);

    DirtyLogTest() {
        slots.setBitmapPolicy(modes);
        slots.setUserMemoryRegion(region(UNLOGGED, 0, 0x10_0000, 64));
    }

    private void logged(int slotNumber, long npages) {
        slots.setUserMemoryRegion(region(slotNumber, LOG_DIRTY_PAGES, 0x1000, npages));
    }

    private DirtyBitmap bitmap(int slotNumber) {
        return Objects.requireNonNull(Objects.requireNonNull(slots.slotOf(slotNumber)).bitmap());
    }

    private long[] get(int slotNumber) {
        long[] words = new long[bitmap(slotNumber).words()];
        Arrays.fill(words, 0x5555_5555_5555_5555L);
        log.get(slotNumber, MemorySegment.ofArray(words));
        return words;
    }

    private static @Nullable Errno errno(ThrowingCallable call) {
        MdevException refusal = catchThrowableOfType(MdevException.class, call);
        return refusal == null ? null : refusal.errno();
    }

    private @Nullable Errno getErrno(int slotNumber) {
        return errno(() -> log.get(slotNumber, MemorySegment.ofArray(new long[64])));
    }

    private @Nullable Errno clearErrno(int slotNumber, int npages, long firstIndex) {
        MemorySegment named = MemorySegment.ofArray(new long[64]);
        return errno(() -> log.clear(new DirtyLogClear(slotNumber, npages, firstIndex), named));
    }

    /// Who knows of writes without a fault, such as by a device, marks them when a log is read.
    @Test
    void whatIsMarkedWhenTheLogIsReadIsInIt() {
        logged(3, 200);
        slots.addListener(
                new SlotListener() {
                    @Override
                    public void prepare(SlotChange change) {}

                    @Override
                    public void flush(Memslot invalid) {}

                    @Override
                    public void commit(SlotChange change) {}

                    @Override
                    public void beforeHarvest(Memslot slot) {
                        Objects.requireNonNull(slot.bitmap()).set(70);
                    }
                });

        assertThat(get(3)[1]).isEqualTo(1L << 6);
        List<Long> collected = new ArrayList<>();
        assertThat(log.collect(3, (word, bits) -> collected.add(bits))).isTrue();
        assertThat(collected).containsExactly(1L << 6);
    }

    @Test
    void getTakesTheBitsProtectsTheirPagesAndFlushesOnce() {
        logged(3, 200);
        bitmap(3).set(0);
        bitmap(3).set(65);
        bitmap(3).set(199);

        assertThat(get(3)).containsExactly(1, 2, 0, 1L << (199 - 192));
        assertThat(protector.batches)
                .containsExactly(
                        new Batch(3, 0, 1), new Batch(3, 64, 2), new Batch(3, 192, 1L << 7));
        assertThat(protector.flushes).isEqualTo(1);
        assertThat(protector.drains).isEqualTo(1);
        assertThat(get(3)).containsOnly(0);
        assertThat(bitmap(3).isEmpty()).isTrue();
    }

    @Test
    void aLogWithoutABitIsNotFlushed() {
        logged(3, 200);
        assertThat(get(3)).containsOnly(0);
        assertThat(protector.batches).isEmpty();
        assertThat(protector.flushes).isZero();
    }

    @ParameterizedTest
    @CsvSource({"1,8", "65,16", "64,8"})
    void getCopiesAsManyBytesAsTheHalfHas(long npages, int sizeBytes) {
        logged(3, npages);
        bitmap(3).set(npages - 1);
        byte[] target = new byte[sizeBytes + 1];
        target[sizeBytes] = 0x77;
        log.get(3, MemorySegment.ofArray(target));
        assertThat(target[(int) ((npages - 1) / 8)]).isEqualTo((byte) (1 << (npages - 1) % 8));
        assertThat(target[sizeBytes]).isEqualTo((byte) 0x77);
    }

    @Test
    void theOrderOfGetsChecks() {
        logged(3, 200);
        assertThat(getErrno(3)).isNull();
        assertThat(getErrno(2 << 16)).isEqualTo(Errno.EINVAL);
        assertThat(getErrno(SlotIds.USER_SLOTS)).isEqualTo(Errno.EINVAL);
        assertThat(getErrno(-1)).isEqualTo(Errno.EINVAL);
        assertThat(getErrno(SlotIds.USER_SLOTS - 1)).isEqualTo(Errno.ENOENT);
        assertThat(getErrno(1 << 16 | 3)).isEqualTo(Errno.ENOENT);
        assertThat(getErrno(UNLOGGED)).isEqualTo(Errno.ENOENT);

        modes.enable(DirtyModes.RING, 0, 4096);
        assertThat(getErrno(3)).isEqualTo(Errno.ENXIO);
        assertThat(getErrno(-1)).isEqualTo(Errno.ENXIO);
        assertThat(clearErrno(-1, 63, 1)).isEqualTo(Errno.ENXIO);
    }

    @Test
    void anInternalSlotHasNoLog() {
        slots.setInternalMemoryRegion(
                new UserMemoryRegion(SlotIds.TSS, 0, 0xf000_0000L, 0x3000, SlotRequests.HVA));
        assertThat(getErrno(SlotIds.TSS)).isEqualTo(Errno.EINVAL);
    }

    @Test
    void aLogThatCannotBeCopiedOutIsLost() {
        logged(3, 200);
        bitmap(3).set(5);
        assertThat(errno(() -> log.get(3, MemorySegment.ofArray(new byte[31]))))
                .isEqualTo(Errno.EFAULT);
        assertThat(protector.batches).containsExactly(new Batch(3, 0, 1 << 5));
        assertThat(protector.flushes).isEqualTo(1);
        assertThat(get(3)).containsOnly(0);

        bitmap(3).set(6);
        MemorySegment readOnly = MemorySegment.ofArray(new long[4]).asReadOnly();
        assertThat(errno(() -> log.get(3, readOnly))).isEqualTo(Errno.EFAULT);
        assertThat(get(3)).containsOnly(0);
    }

    @Test
    void withManualProtectionGetTakesNothing() {
        modes.enable(DirtyModes.MANUAL_PROTECT2, 0, DirtyModes.MANUAL_ENABLE);
        logged(3, 200);
        bitmap(3).set(5);
        assertThat(get(3)).containsExactly(1 << 5, 0, 0, 0);
        assertThat(get(3)).containsExactly(1 << 5, 0, 0, 0);
        assertThat(errno(() -> log.get(3, MemorySegment.ofArray(new byte[31]))))
                .isEqualTo(Errno.EFAULT);
        assertThat(protector.batches).isEmpty();
        assertThat(protector.flushes).isZero();

        modes.enable(DirtyModes.MANUAL_PROTECT2, 0, 0);
        assertThat(get(3)).containsExactly(1 << 5, 0, 0, 0);
        assertThat(get(3)).containsOnly(0);
    }

    @Test
    void initiallySetBitmapsAreOnesUpToTheLastPage() {
        logged(4, 70);
        modes.enable(DirtyModes.MANUAL_PROTECT2, 0, 3);
        assertThat(get(4)).as("an existing bitmap stays").containsOnly(0);

        slots.setUserMemoryRegion(region(4, 0, 0x1000, 70));
        slots.setUserMemoryRegion(region(4, LOG_DIRTY_PAGES, 0x1000, 70));
        assertThat(get(4)).containsExactly(-1, 0b11_1111);
    }

    @ParameterizedTest
    @CsvSource({
        "200,   1,  64, EINVAL",
        "200,  64,  63, EINVAL",
        "200, 192,   8, ",
        "200, 192,   7, EINVAL",
        "200, 192,   9, EINVAL",
        "200, 192,  64, EINVAL",
        "200, 192,   0, ",
        "200,   0,   0, ",
        "200,  64, 136, ",
        "200, 256,   0, EINVAL",
        "200,   0, 200, ",
        "200,   0, 256, EINVAL",
        "128, 128,   0, ",
        "128, 128,  64, EINVAL",
        "128,  64,  64, ",
        "128, -64,  64, EINVAL",
        "128,   0,  -1, EINVAL",
        "128,   0, -64, EINVAL",
    })
    void whichPartsCanBeCleared(long npages, long first, int num, @Nullable Errno expected) {
        logged(3, npages);
        assertThat(clearErrno(3, num, first)).isEqualTo(expected);
    }

    @Test
    void theOrderOfClearsChecks() {
        logged(3, 200);
        assertThat(clearErrno(7, 64, 1)).as("askew precedes absent").isEqualTo(Errno.EINVAL);
        assertThat(clearErrno(7, 63, 64)).as("absent precedes length").isEqualTo(Errno.ENOENT);
        assertThat(clearErrno(UNLOGGED, 63, 64)).isEqualTo(Errno.ENOENT);
        assertThat(clearErrno(2 << 16 | 3, 64, 0)).isEqualTo(Errno.EINVAL);
        assertThat(clearErrno(SlotIds.USER_SLOTS, 64, 0)).isEqualTo(Errno.EINVAL);
        DirtyLogClear wrongLength = new DirtyLogClear(3, 63, 64);
        assertThat(errno(() -> log.clear(wrongLength, MemorySegment.ofArray(new byte[0]))))
                .as("length precedes the copy")
                .isEqualTo(Errno.EINVAL);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 3})
    void clearTakesOnlyWhatWasSetWithOrWithoutTheCapability(int options) {
        modes.enable(DirtyModes.MANUAL_PROTECT2, 0, options);
        logged(3, 200);
        bitmap(3).harvest((_, _) -> {});
        for (long page : new long[] {10, 64, 70, 199}) {
            bitmap(3).set(page);
        }

        long[] named = {1 << 6 | 1 << 7, -1, -1L};
        log.clear(new DirtyLogClear(3, 136, 64), MemorySegment.ofArray(named));

        assertThat(protector.batches)
                .containsExactly(new Batch(3, 64, 1 << 6), new Batch(3, 192, 1 << 7));
        assertThat(protector.flushes).isEqualTo(1);
        assertThat(bitmap(3).test(10)).isTrue();
        assertThat(bitmap(3).test(64)).isTrue();
        assertThat(bitmap(3).cardinality()).isEqualTo(2);
        assertThat(named).containsExactly(1 << 6 | 1 << 7, -1, -1);

        log.clear(new DirtyLogClear(3, 136, 64), MemorySegment.ofArray(named));
        assertThat(protector.flushes).as("nothing was set").isEqualTo(1);
    }

    @Test
    void clearWithABitmapThatCannotBeReadClearsNothing() {
        logged(3, 200);
        bitmap(3).set(5);
        MemorySegment tooShort = MemorySegment.ofArray(new byte[31]);
        assertThat(errno(() -> log.clear(new DirtyLogClear(3, 200, 0), tooShort)))
                .isEqualTo(Errno.EFAULT);
        assertThat(bitmap(3).test(5)).isTrue();
        // 8 pages are one word: the copy is rounded up to 64 bits.
        MemorySegment word = MemorySegment.ofArray(new byte[8]);
        assertThat(errno(() -> log.clear(new DirtyLogClear(3, 8, 192), word))).isNull();
    }

    @Test
    void aClearAfterAGetLeavesNoTraceOfEither() {
        modes.enable(DirtyModes.MANUAL_PROTECT2, 0, 1);
        logged(3, 128);
        bitmap(3).set(1);
        log.clear(new DirtyLogClear(3, 128, 0), MemorySegment.ofArray(new long[] {-1, -1}));
        modes.enable(DirtyModes.MANUAL_PROTECT2, 0, 0);
        bitmap(3).set(100);
        assertThat(get(3)).containsExactly(0, 1L << 36);
        assertThat(get(3)).containsOnly(0);
    }

    @Test
    void moveKeepsTheBitsAndTurningLoggingOffAndOnDoesNot() {
        logged(3, 64);
        bitmap(3).set(5);
        slots.setUserMemoryRegion(region(3, LOG_DIRTY_PAGES, 0x1010, 64));
        assertThat(get(3)).containsExactly(1 << 5);

        bitmap(3).set(6);
        slots.setUserMemoryRegion(region(3, LOG_DIRTY_PAGES, 0x1010, 64));
        assertThat(bitmap(3).test(6)).as("the same again").isTrue();

        slots.setUserMemoryRegion(region(3, 0, 0x1010, 64));
        assertThat(getErrno(3)).isEqualTo(Errno.ENOENT);
        slots.setUserMemoryRegion(region(3, LOG_DIRTY_PAGES, 0x1010, 64));
        assertThat(get(3)).containsOnly(0);

        bitmap(3).set(7);
        slots.setUserMemoryRegion(UserMemoryRegion.deletionOf(3));
        slots.setUserMemoryRegion(region(3, LOG_DIRTY_PAGES, 0x1010, 64));
        assertThat(get(3)).containsOnly(0);
    }

    @Test
    void collectTakesBitsWhateverTheModeAndProtectsThem() {
        modes.enable(DirtyModes.MANUAL_PROTECT2, 0, 1);
        logged(3, 200);
        bitmap(3).set(130);
        assertThat(
                        log.collect(
                                3,
                                (word, bits) -> {
                                    assertThat(word).isEqualTo(2);
                                    assertThat(bits).isEqualTo(4);
                                }))
                .isTrue();
        assertThat(protector.batches).containsExactly(new Batch(3, 128, 4));
        assertThat(protector.flushes).isEqualTo(1);
        assertThat(log.collect(3, (_, _) -> {})).isFalse();
        assertThat(log.collect(UNLOGGED, (_, _) -> {})).isFalse();
        assertThat(log.collect(-1, (_, _) -> {})).isFalse();
    }

    @Test
    void aDeadMachineAnswersNothing() {
        logged(3, 64);
        slots.kill("test");
        assertThat(getErrno(3)).isEqualTo(Errno.EIO);
        assertThat(clearErrno(3, 63, 1)).isEqualTo(Errno.EIO);
        assertThat(errno(() -> modes.enable(DirtyModes.MANUAL_PROTECT2, 0, 1)))
                .isEqualTo(Errno.EIO);
    }
}
