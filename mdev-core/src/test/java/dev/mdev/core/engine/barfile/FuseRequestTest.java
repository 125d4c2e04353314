package dev.mdev.core.engine.barfile;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.support.Seeded;
import dev.mdev.core.sys.FuseAbi;
import dev.mdev.core.sys.FuseAbi.InHeader;
import dev.mdev.core.sys.FuseAbi.OutHeader;

import org.junit.jupiter.api.Test;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;

/// Requests of any content. Nothing here needs the kernel.
class FuseRequestTest {
    private static final int ROUNDS = 10;
    private static final int REQUESTS = 2000;
    private static final int SIZE = 512;

    private final FakeKernel kernel = new FakeKernel();

    @Test
    void aRequestThatIsCutShortIsNoRequest() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(SIZE, Long.BYTES);
            buffer.set(ValueLayout.JAVA_INT, InHeader.LEN, 60);

            assertThat(FuseRequest.of(buffer, 60)).isNotNull();
            for (long length : new long[] {0, 1, InHeader.SIZE - 1, InHeader.SIZE, 59, 61}) {
                assertThat(FuseRequest.of(buffer, length)).as("length=%d", length).isNull();
            }
        }
    }

    /// Each request is answered at most once, and those that have an answer exactly once, if no
    /// access waits for a driver.
    @Test
    void everyRequestOfAnyContentGetsItsAnswer() {
        Seeded.run(ROUNDS, this::answersRandomRequests);
    }

    private void answersRandomRequests(SplittableRandom random) {
        try (Arena arena = Arena.ofConfined();
                HostMemory memory = HostMemory.withHomes(new OffHeapBackend(), Long.MAX_VALUE)) {
            FuseConnection connection = kernel.connection;
            BarRequests requests = new BarRequests(connection, 0, 0);
            BarNode node =
                    new BarNode(
                            kernel.sys,
                            connection,
                            2,
                            List.of(new BarFile.Area(0, 0x8000), new BarFile.Area(0x10000, 0x8000)),
                            memory,
                            BarFileOptions.DEFAULT);
            requests.add("bar", node);
            MemorySegment buffer = arena.allocate(SIZE, Long.BYTES);
            MemorySegment scratch =
                    arena.allocate(FuseConnection.MAX_DATA_BYTES + OutHeader.SIZE, Long.BYTES);
            for (int i = 0; i < REQUESTS; i++) {
                FuseRequest request = randomRequest(random, buffer);
                kernel.answers.clear();

                requests.handle(request, scratch);

                boolean silent =
                        request.opcode() == FuseAbi.FUSE_FORGET
                                || request.opcode() == FuseAbi.FUSE_BATCH_FORGET;
                assertThat(kernel.answers)
                        .extracting(FakeKernel.Answer::unique)
                        .as("opcode=%d", request.opcode())
                        .isEqualTo(silent ? List.of() : List.of(request.unique()));
                if (silent) {
                    requests.add("bar", node);
                }
            }
        }
    }

    private static FuseRequest randomRequest(SplittableRandom random, MemorySegment buffer) {
        for (long at = 0; at < SIZE; at += Long.BYTES) {
            long value =
                    switch (random.nextInt(4)) {
                        case 0 -> random.nextLong();
                        case 1 -> random.nextLong(0x20000);
                        case 2 -> random.nextLong(0x20) << 32 | random.nextLong(0x2000);
                        default -> 0;
                    };
            buffer.set(ValueLayout.JAVA_LONG, at, value);
        }
        int length = random.nextInt(InHeader.SIZE, SIZE);
        buffer.set(ValueLayout.JAVA_INT, InHeader.LEN, length);
        int opcode = random.nextInt(8) == 0 ? random.nextInt() : random.nextInt(60);
        buffer.set(ValueLayout.JAVA_INT, InHeader.OPCODE, opcode);
        buffer.set(ValueLayout.JAVA_LONG, InHeader.UNIQUE, random.nextLong());
        buffer.set(ValueLayout.JAVA_LONG, InHeader.NODEID, random.nextLong(4));
        FuseRequest request = FuseRequest.of(buffer, length);
        assertThat(request).isNotNull();
        return Objects.requireNonNull(request);
    }
}
