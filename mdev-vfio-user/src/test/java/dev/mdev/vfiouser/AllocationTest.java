package dev.mdev.vfiouser;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;

import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.lang.management.ManagementFactory;

/// What the thread of a connection allocates for a request, once the code is compiled: nothing, if
/// the compiler finds that no object of a request outlives it. What else the process has run
/// decides that for the last ones, so the bounds are of a few small objects.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class AllocationTest extends ServerTest {
    private static final int REQUESTS = 5_000;

    /// For one request.
    private static final long MOST_BYTES = 80;

    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    @Test
    void aReadOfConfigurationSpaceAllocatesNextToNothing() {
        byte[] read = body().u64(0).u32(CONFIG, 4).done();

        assertAllocates(MOST_BYTES, () -> assertDone(client.ask(9, read)));
    }

    @Test
    void anAccessToGrantedMemoryAllocatesNextToNothing() {
        client.enable();
        byte[] read = body().u64(4096).u32(MEMORY, 8).done();
        byte[] write = body().u64(4096).u32(MEMORY, 8).u64(7).done();

        assertAllocates(
                4 * MOST_BYTES,
                () -> {
                    client.send(1, 10, VfioUserClient.NO_REPLY, write);
                    assertDone(client.ask(9, read));
                });
    }

    /// Makes the same request again and again, until a round of them allocates little enough: the
    /// code is compiled in the background.
    private void assertAllocates(long most, Runnable request) {
        long session = sessionThread().threadId();
        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        long allocated;
        do {
            long before = THREADS.getThreadAllocatedBytes(session);
            for (int i = 0; i < REQUESTS; i++) {
                request.run();
            }
            allocated = THREADS.getThreadAllocatedBytes(session) - before;
        } while (allocated >= most * REQUESTS && System.nanoTime() - end < 0);
        assertThat(allocated).as("bytes for %d requests", REQUESTS).isLessThan(most * REQUESTS);
    }

    private Thread sessionThread() {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> thread.getName().equals("vfio-user " + host.mdev.uuid()))
                .findFirst()
                .orElseThrow();
    }
}
