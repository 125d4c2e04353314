package dev.mdev.vfiouser;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;

import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.lang.management.ManagementFactory;

/// What the thread of a connection allocates for a request, once the code is compiled: nothing, so
/// that no collection ever delays a guest's access.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class AllocationTest extends ServerTest {
    private static final int REQUESTS = 5_000;
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    @Test
    void aReadOfConfigurationSpaceAllocatesNothing() {
        byte[] read = body().u64(0).u32(CONFIG, 4).done();

        assertAllocatesNothing(() -> assertDone(client.ask(9, read)));
    }

    @Test
    void anAccessToGrantedMemoryAllocatesNothing() {
        client.enable();
        byte[] read = body().u64(4096).u32(MEMORY, 8).done();
        byte[] write = body().u64(4096).u32(MEMORY, 8).u64(7).done();

        assertAllocatesNothing(() -> {
            client.send(1, 10, VfioUserClient.NO_REPLY, write);
            assertDone(client.ask(9, read));
        });
    }

    /// Makes the same request again and again, until a round of them allocates nothing: the code is
    /// compiled in the background.
    private void assertAllocatesNothing(Runnable request) {
        long session = sessionThread().threadId();
        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        long allocated;
        do {
            long before = THREADS.getThreadAllocatedBytes(session);
            for (int i = 0; i < REQUESTS; i++) {
                request.run();
            }
            allocated = THREADS.getThreadAllocatedBytes(session) - before;
        } while (allocated >= REQUESTS && System.nanoTime() - end < 0);
        assertThat(allocated).as("bytes for %d requests", REQUESTS).isLessThan(REQUESTS);
    }

    private Thread sessionThread() {
        return Thread.getAllStackTraces().keySet().stream()
                .filter(thread -> thread.getName().equals("vfio-user " + host.mdev.uuid()))
                .findFirst()
                .orElseThrow();
    }
}
