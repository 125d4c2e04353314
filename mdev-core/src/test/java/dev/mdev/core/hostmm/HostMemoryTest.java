package dev.mdev.core.hostmm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.InstanceOfAssertFactories.type;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;

import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;

/// How much memory may be allocated.
class HostMemoryTest {
    private static void requireNoMemory(ThrowingCallable call, String words) {
        assertThatThrownBy(call)
                .hasMessageContaining(words)
                .asInstanceOf(type(MdevException.class))
                .extracting(MdevException::errno)
                .isEqualTo(Errno.ENOMEM);
    }

    @Test
    void blocksTogetherDoNotExceedTheLimitAndWhatIsFreedCanBeHadAgain() {
        try (HostMemory memory = new HostMemory(new OffHeapBackend(), Page.bytesOf(10))) {
            HostMemory.Block first = memory.allocate("first", 7);
            HostMemory.Block second = memory.allocate("second", 3);
            requireNoMemory(
                    () -> memory.allocate("third", 1),
                    "block=third sizeBytes=4096, of limitBytes=40960 there are freeBytes=0");
            memory.free(second);
            memory.free(second);
            requireNoMemory(() -> memory.allocate("third", 4), "freeBytes=12288");
            assertThat(memory.allocate("third", 3).pfns().npages()).isEqualTo(3);
            memory.free(first);
            assertThat(memory.allocate("fourth", 7).pfns().npages()).isEqualTo(7);
        }
    }

    @Test
    void adoptedMemoryDoesNotCountAndIsReleasedWithItsBlock() {
        MemoryBackend.Backing backing = new OffHeapBackend().allocate("foreign", Page.bytesOf(3));
        try (HostMemory memory = new HostMemory(new OffHeapBackend(), Page.bytesOf(1))) {
            HostMemory.Block block = memory.adopt("foreign", 3, backing);
            HostMemory.Block own = memory.allocate("own", 1);
            assertThat(memory.blockOf(block.pfns().firstPfn() + 2)).isSameAs(block);
            memory.free(own);

            memory.free(block);

            assertThat(backing.segment().scope().isAlive()).isFalse();
            requireNoMemory(() -> memory.allocate("more", 2), "freeBytes=4096");
        }
    }

    @Test
    void withoutALimitItIsTheBackendThatRefuses() {
        MemoryBackend empty =
                (name, sizeBytes) -> {
                    throw new MdevException(Errno.ENOMEM, "nothing is left for " + name);
                };
        try (HostMemory memory = new HostMemory(empty)) {
            requireNoMemory(() -> memory.allocate("ram", 1L << 40), "nothing is left for ram");
        }
    }

    @Test
    void whatTheBackendRefusesDoesNotCount() {
        OffHeapBackend real = new OffHeapBackend();
        MemoryBackend moody =
                (name, sizeBytes) -> {
                    if (name.equals("refused")) {
                        throw new MdevException(Errno.ENOMEM, "not today");
                    }
                    return real.allocate(name, sizeBytes);
                };
        try (HostMemory memory = new HostMemory(moody, Page.bytesOf(4))) {
            requireNoMemory(() -> memory.allocate("refused", 4), "not today");
            assertThat(memory.allocate("ram", 4).pfns().npages()).isEqualTo(4);
        }
    }

    @Test
    void threadsThatAllocateAtTheSameTimeGetNoMoreThanThereIs() throws Exception {
        try (HostMemory memory = new HostMemory(new OffHeapBackend(), Page.bytesOf(50));
                ExecutorService threads = Executors.newFixedThreadPool(4)) {
            Callable<Integer> one =
                    () -> {
                        try {
                            memory.allocate("one", 1);
                            return 1;
                        } catch (MdevException e) {
                            assertThat(e.errno()).isEqualTo(Errno.ENOMEM);
                            return 0;
                        }
                    };
            List<Callable<Integer>> calls = IntStream.range(0, 200).mapToObj(_ -> one).toList();
            int got = 0;
            for (Future<Integer> answer : threads.invokeAll(calls)) {
                got += answer.get();
            }
            assertThat(got).isEqualTo(50);
        }
    }

    @Test
    void aLimitBelowNothingIsRefused() {
        assertThatThrownBy(() -> new HostMemory(new OffHeapBackend(), -1))
                .hasMessageContaining("limitBytes=-1");
    }
}
