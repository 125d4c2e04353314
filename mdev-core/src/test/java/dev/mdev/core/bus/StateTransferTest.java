package dev.mdev.core.bus;

import static dev.mdev.core.bus.BusWorld.assertFails;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.page.Page;
import dev.mdev.core.device.DeviceHolder;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.MdevAssignment;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;

@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class StateTransferTest {
    private static final UUID ONE = new UUID(10, 1);
    private static final UUID TWO = new UUID(10, 2);
    private static final long PAGES = 600;
    private static final byte[] ZEROES = new byte[(int) Page.bytesOf(PAGES)];

    private final BusWorld source = world();
    private final BusWorld target = world();

    private static BusWorld world() {
        BusWorld world =
                new BusWorld(
                        new Card("gpu0", 2000, false)
                                .with("t600", PAGES, 1, false)
                                .with("t601", PAGES + 1, 1, false)
                                .with("t1", 1, 1, true));
        world.driver.marksPages = false;
        return world.plug();
    }

    /// A device with scattered content in scattered pages.
    private static Mdev filled(BusWorld world, UUID uuid, SplittableRandom random) {
        for (int i = 0; i < 40; i++) {
            world.bus.create(new UUID(11, i), "gpu0", "t1");
        }
        for (int i = 0; i < 40; i += 2) {
            world.bus.remove(new UUID(11, i));
        }
        Mdev mdev = world.bus.create(uuid, "gpu0", "t600");
        CardDriver.Device device = world.driver.device(uuid);
        device.register = 4711;
        for (int i = 0; i < 100; i++) {
            byte[] bytes = new byte[random.nextInt(1, 3000)];
            random.nextBytes(bytes);
            write(device, random.nextInt((int) PAGES), bytes);
        }
        return mdev;
    }

    private static void write(CardDriver.Device device, int page, byte[] bytes) {
        long pfn = device.share.getFirst().pfnOf(page);
        device.aperture.write(
                Page.addressOf(pfn - device.aperture.pfns().firstPfn()),
                MemorySegment.ofArray(bytes));
    }

    private static byte[] content(BusWorld world, UUID uuid) {
        CardDriver.Device device = world.driver.device(uuid);
        byte[] all = new byte[(int) Page.bytesOf(PAGES)];
        for (int page = 0; page < PAGES; page++) {
            long pfn = device.share.getFirst().pfnOf(page);
            device.aperture.read(
                    Page.addressOf(pfn - device.aperture.pfns().firstPfn()),
                    MemorySegment.ofArray(all).asSlice(page * (long) Page.SIZE, Page.SIZE));
        }
        return all;
    }

    private static byte[] save(BusWorld world, UUID uuid) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        assertThat(world.bus.save(uuid, out)).isEqualTo(out.size());
        return out.toByteArray();
    }

    private static InputStream in(byte[] bytes) {
        return new ByteArrayInputStream(bytes);
    }

    @Test
    void aDeviceGoesToAnotherHostWithItsPagesAndItsRegisters() throws IOException {
        filled(source, ONE, new SplittableRandom(1));
        target.bus.create(TWO, "gpu0", "t600");
        write(target.driver.device(TWO), 17, page(0x66));
        byte[] expected = content(source, ONE);

        byte[] state = save(source, ONE);
        target.bus.restore(TWO, in(state));

        assertThat(content(target, TWO)).isEqualTo(expected);
        assertThat(target.driver.device(TWO).register).isEqualTo(4711);
        assertThat(state.length).as("pages of zeroes are left out").isLessThan(expected.length / 2);
        assertThat(target.facts(MdevEvent.StateRestored.class))
                .containsExactly(new MdevEvent.StateRestored(TWO, ONE));
        assertThat(source.facts(MdevEvent.StateSaved.class)).hasSize(1);
        target.bus.find(TWO).orElseThrow().assign("vm");
    }

    /// Better now than when it is to be restored.
    @Test
    void aStateThatNoHostWouldTakeIsNotSaved() {
        source.bus.create(ONE, "gpu0", "t600");
        source.driver.stateVersion = 0;

        assertFails(() -> save(source, ONE), Errno.EINVAL, "not a version of a state: 0");

        assertThat(source.driver.calls).last().isEqualTo("resume " + ONE);
    }

    @Test
    void aSavedDeviceGoesOnAndARestoredOneWaitsUntilSomebodyHasIt() throws IOException {
        source.bus.create(ONE, "gpu0", "t600");
        target.bus.create(TWO, "gpu0", "t600");
        byte[] state = save(source, ONE);
        target.bus.restore(TWO, in(state));
        assertFails(
                () -> target.bus.restore(TWO, in(Arrays.copyOf(state, state.length - 9))),
                Errno.EPROTO);
        assertFails(
                () -> target.bus.restore(TWO, in(Arrays.copyOf(state, state.length + 1))),
                Errno.EPROTO);

        assertThat(source.driver.calls)
                .containsExactly("create " + ONE, "stop " + ONE, "save " + ONE, "resume " + ONE);
        assertThat(target.driver.calls)
                .containsExactly(
                        "create " + TWO,
                        "stop " + TWO,
                        "reset " + TWO,
                        "restore " + TWO,
                        "reset " + TWO,
                        "reset " + TWO,
                        "reset " + TWO,
                        "reset " + TWO);
        target.driver.calls.clear();

        byte[] again = save(target, TWO);
        assertThat(again).isNotEmpty();
        assertThat(target.driver.calls).as("it is stopped").containsExactly("save " + TWO);
        Mdev mdev = target.bus.find(TWO).orElseThrow();
        mdev.assign("vm");
        mdev.resumeRestored();
        mdev.resumeRestored();
        assertThat(target.driver.calls).containsExactly("save " + TWO, "resume " + TWO);
    }

    private static byte[] page(int n) {
        byte[] page = new byte[Page.SIZE];
        Arrays.fill(page, (byte) n);
        return page;
    }

    @Test
    void anEmptyDeviceIsNextToNothing() throws IOException {
        source.bus.create(ONE, "gpu0", "t600");

        assertThat(save(source, ONE)).hasSizeLessThan(200);
    }

    @Test
    void aBrokenStreamLeavesTheDeviceAsAfterItsCreationAndNothingHeld() throws IOException {
        filled(source, ONE, new SplittableRandom(2));
        byte[] state = save(source, ONE);
        SplittableRandom random = new SplittableRandom(3);
        for (int round = 0; round < 60; round++) {
            byte[] broken;
            if (round % 2 == 0) {
                broken = Arrays.copyOf(state, random.nextInt(120, state.length));
            } else {
                broken = state.clone();
                broken[random.nextInt(120, state.length)] ^= (byte) (1 << random.nextInt(8));
            }
            target.bus.create(TWO, "gpu0", "t600");
            write(target.driver.device(TWO), 300, page(0x11));
            target.driver.device(TWO).register = 1;
            int resets = target.driver.device(TWO).resets.get();

            assertFails(() -> target.bus.restore(TWO, in(broken)), Errno.EPROTO);

            assertThat(content(target, TWO)).as("round %d", round).isEqualTo(ZEROES);
            assertThat(target.driver.device(TWO).register).isZero();
            assertThat(target.driver.device(TWO).resets).hasValueGreaterThan(resets);
            MdevAssignment held = target.bus.find(TWO).orElseThrow().assign("vm");
            held.close();
            target.bus.remove(TWO);
            target.check();
        }
        assertThat(target.facts(MdevEvent.RestoreFailed.class)).hasSize(60);
    }

    @Test
    void aStateOfAnotherTypeOrDriverTouchesNothing() throws IOException {
        filled(source, ONE, new SplittableRandom(2));
        byte[] state = save(source, ONE);
        target.bus.create(TWO, "gpu0", "t601");
        write(target.driver.device(TWO), 300, page(0x11));

        assertFails(() -> target.bus.restore(TWO, in(state)), Errno.EINVAL);
        assertFails(() -> target.bus.restore(TWO, in(new byte[0])), Errno.EPROTO);
        assertFails(() -> target.bus.restore(ONE, in(state)), Errno.ENODEV);
        assertFails(() -> target.bus.save(ONE, OutputStream.nullOutputStream()), Errno.ENODEV);

        assertThat(target.driver.device(TWO).resets).hasValue(0);
    }

    @Test
    void aDriverThatRefusesTheStateIsResetWithItsPages() throws IOException {
        filled(source, ONE, new SplittableRandom(2));
        byte[] state = save(source, ONE);
        target.bus.create(TWO, "gpu0", "t600");
        target.driver.onRestore =
                () -> {
                    throw new IllegalStateException("driver bug");
                };

        assertFails(() -> target.bus.restore(TWO, in(state)), Errno.EIO);

        assertThat(content(target, TWO)).isEqualTo(ZEROES);
    }

    @Test
    void aStreamThatFailsIsToldAsItIsAndTheDeviceIsReset() throws IOException {
        filled(source, ONE, new SplittableRandom(2));
        byte[] state = save(source, ONE);
        target.bus.create(TWO, "gpu0", "t600");
        InputStream failing =
                new InputStream() {
                    private int at;

                    @Override
                    public int read(byte[] to, int offset, int length) throws IOException {
                        to[offset] = (byte) read();
                        return 1;
                    }

                    @Override
                    public int read() throws IOException {
                        if (at > 20_000) {
                            throw new IOException("connection reset");
                        }
                        return state[at++] & 0xff;
                    }
                };

        assertThatThrownBy(() -> target.bus.restore(TWO, failing))
                .isInstanceOf(IOException.class)
                .hasMessage("connection reset");

        assertThat(content(target, TWO)).isEqualTo(ZEROES);
        assertThatThrownBy(() ->
                        source.bus.save(
                                ONE,
                                new OutputStream() {
                                    @Override
                                    public void write(int b) throws IOException {
                                        throw new IOException("disk full");
                                    }
                                }))
                .hasMessage("disk full");
        source.bus.find(ONE).orElseThrow().assign("vm");
    }

    @Test
    void anAssignedDeviceIsLeftAloneUnlessItsHolderStopsTheGuest() throws IOException {
        Mdev mdev = filled(source, ONE, new SplittableRandom(2));
        MdevAssignment held = mdev.assign("vm7");
        assertFails(() -> source.bus.save(ONE, OutputStream.nullOutputStream()), Errno.EBUSY);
        held.close();
        AtomicInteger pauses = new AtomicInteger();
        AtomicInteger resumes = new AtomicInteger();
        DeviceHolder pausing =
                new DeviceHolder() {
                    @Override
                    public String name() {
                        return "vm8";
                    }

                    @Override
                    public Optional<Pause> pause() {
                        pauses.incrementAndGet();
                        return Optional.of(resumes::incrementAndGet);
                    }
                };
        mdev.assign(pausing);
        source.driver.device(ONE).register = 4712;

        byte[] state = save(source, ONE);
        source.bus.restore(ONE, in(state));
        assertFails(() -> source.bus.restore(ONE, in(new byte[3])), Errno.EPROTO);

        assertThat(pauses).as("what has no header stops nobody").hasValue(2);
        assertThat(resumes).hasValue(2);
        assertThat(mdev.holder()).hasValue("vm8");
        target.bus.create(TWO, "gpu0", "t600");
        target.bus.restore(TWO, in(state));
        assertThat(target.driver.device(TWO).register).isEqualTo(4712);
    }

    @Test
    void untilTheHeaderIsReadTheDeviceIsAnybodysAndFromThenOnItIsHeld() throws IOException {
        filled(source, ONE, new SplittableRandom(2));
        byte[] state = save(source, ONE);
        Mdev mdev = target.bus.create(TWO, "gpu0", "t600");
        AtomicInteger refusals = new AtomicInteger();
        InputStream watched =
                new InputStream() {
                    private int at;

                    @Override
                    public int read() {
                        if (at == 0) {
                            MdevAssignment held = mdev.assign("vm");
                            held.close();
                            target.bus.reset(TWO);
                        } else if (at == state.length - 1) {
                            assertFails(() -> mdev.assign("vm"), Errno.EBUSY);
                            assertFails(() -> target.bus.reset(TWO), Errno.EAGAIN);
                            refusals.incrementAndGet();
                        }
                        return at < state.length ? state[at++] & 0xff : -1;
                    }

                    @Override
                    public int read(byte[] bytes, int offset, int length) {
                        int next = length == 0 ? 0 : read();
                        if (length > 0 && next >= 0) {
                            bytes[offset] = (byte) next;
                        }
                        return next < 0 ? -1 : Math.min(length, 1);
                    }
                };

        target.bus.restore(TWO, watched);

        assertThat(refusals).hasValue(1);
        assertThat(content(target, TWO)).isEqualTo(content(source, ONE));
    }

    @Test
    void aDeviceThatIsReplacedWhileTheHeaderIsReadGetsNothingThatDoesNotFit() throws IOException {
        filled(source, ONE, new SplittableRandom(2));
        byte[] state = save(source, ONE);
        target.bus.create(TWO, "gpu0", "t600");
        InputStream replacing =
                new ByteArrayInputStream(state) {
                    private boolean replaced;

                    @Override
                    public synchronized int read(byte[] bytes, int offset, int length) {
                        if (!replaced) {
                            replaced = true;
                            target.bus.remove(TWO);
                            target.bus.create(TWO, "gpu0", "t601");
                        }
                        return super.read(bytes, offset, length);
                    }
                };

        assertFails(() -> target.bus.restore(TWO, replacing), Errno.EINVAL);

        assertThat(target.driver.device(TWO).resets).hasValue(0);
    }

    @Test
    void aDriverThatWritesWithoutEndIsStopped() {
        source.bus.create(ONE, "gpu0", "t600");
        source.driver.extraStateBytes = 17 << 20;

        assertFails(() -> source.bus.save(ONE, OutputStream.nullOutputStream()), Errno.EIO);
    }

    @Test
    void whileADeviceIsSavedNobodyGetsOrRemovesIt() throws IOException {
        Mdev mdev = filled(source, ONE, new SplittableRandom(2));
        AtomicInteger tries = new AtomicInteger();
        OutputStream meddling =
                new OutputStream() {
                    @Override
                    public void write(int b) {
                        if (tries.getAndIncrement() == 0) {
                            assertFails(() -> mdev.assign("vm"), Errno.EBUSY);
                            assertFails(() -> source.bus.remove(ONE), Errno.EAGAIN);
                            assertFails(() -> source.bus.reset(ONE), Errno.EAGAIN);
                        }
                    }
                };

        source.bus.save(ONE, meddling);

        assertThat(tries.get()).isPositive();
        mdev.assign("vm");
    }
}
