package dev.mdev.vfiouser;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.util.concurrent.CountDownLatch;

/// A client's write to a doorbell.
@Timeout(value = 300, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class DoorbellTest extends ServerTest {
    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /// The driver reads the client's memory meanwhile, which the client serves itself: a driver
    /// that did so in a register write would wait for the waiting client.
    @Test
    void theAnswerDoesNotWaitForTheDriver() {
        client.enable();
        assertDone(client.map(0x10000, RAM_BYTES, 3, 0, ram().fd));
        CountDownLatch goOn = new CountDownLatch(1);
        CountDownLatch done = new CountDownLatch(2);
        host.device().whenRung =
                () -> {
                    await(goOn);
                    assertThat(deviceReads(0x11000)).isZero();
                    done.countDown();
                };

        assertDone(client.write(REGISTERS, TestDriver.DOORBELL, 4, 1));
        while (!host.device().events.contains("rung")) {
            Thread.onSpinWait();
        }
        assertDone(client.write(REGISTERS, TestDriver.DOORBELL, 4, 2));
        goOn.countDown();

        await(done);
        assertThat(host.device().events).noneMatch(event -> event.startsWith("write 2"));
    }

    @Test
    void aWriteOfAnotherWidthIsARegisterAccess() {
        client.enable();

        assertDone(client.write(REGISTERS, TestDriver.DOORBELL, 8, 1));

        assertThat(host.device().events)
                .contains("write 2+%d/8=1".formatted(TestDriver.DOORBELL))
                .doesNotContain("rung");
    }
}
