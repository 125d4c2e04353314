package dev.mdev.vfiouser;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.sys.EventFd;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/// A device is taken back, whatever its client does.
class DetachTest extends ServerTest {
    @Test
    void aClientThatReadsNothingKeepsNobodyElseFromDetaching() {
        client.enable();
        byte[] read = body().u64(0).u32(MEMORY, 8192).done();
        CompletableFuture<Void> flood =
                CompletableFuture.runAsync(
                        () -> {
                            try {
                                for (int i = 0; i < 10_000; i++) {
                                    client.send(i & 0xffff, 9, 0, read);
                                }
                            } catch (MdevException e) {
                                assertThat(e.errno()).isEqualTo(Errno.EPIPE);
                            }
                        },
                        task -> Thread.ofPlatform().daemon().start(task));

        host.socket.close();

        flood.orTimeout(Deadlines.HANG_SECONDS, TimeUnit.SECONDS).join();
        assertThat(host.mdev.holder()).isEmpty();
    }

    @Test
    void aFullCounterForRequestsForTheDeviceDoesNotKeepItFromBeingDetached() {
        EventFd event = event();
        assertDone(client.setIrqs(0x24, 4, 0, 1, event.fd()));
        fillAndBlock(event);
        try {
            inAnotherThread(host.socket::close);
        } finally {
            // A thread that still waits continues.
            var _ = event.drain();
        }
        assertThat(host.mdev.holder()).isEmpty();
    }

    @Test
    void aDeviceThatIsDetachedWhileAClientGetsItHasNoHolder() {
        host.device().whenReset =
                () -> {
                    throw new MdevException(Errno.EIO, "not now");
                };
        client.close();
        try (VfioUserClient refused = new VfioUserClient(host.socket.path())) {
            assertThat(refused.receive()).as("a device that was not reset").isNull();
        }
        host.device().whenReset = () -> {};
        host.mdev.reset();
        CountDownLatch asked = new CountDownLatch(1);
        CountDownLatch held = new CountDownLatch(1);
        host.device().whenAssigned =
                () -> {
                    asked.countDown();
                    Deadlines.await(held);
                };
        try (VfioUserClient next = new VfioUserClient(host.socket.path())) {
            Deadlines.await(asked);
            try {
                host.socket.close();
            } finally {
                held.countDown();
            }
            assertThat(next.receive()).isNull();
        }
        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        while (host.mdev.holder().isPresent() && System.nanoTime() - end < 0) {
            // It waits for the thread that gets the device.
            host.socket.close();
        }
        assertThat(host.mdev.holder()).isEmpty();
    }
}
