package dev.mdev.core.bus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.device.Mdev;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.io.OutputStream;
import java.time.Duration;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BiConsumer;

/// A device that cannot stop at once.
@Timeout(value = 300, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class QuiesceTest {
    private static final UUID ONE = new UUID(13, 1);

    private BusWorld world = new BusWorld(card()).plug();

    private static Card card() {
        return new Card("gpu0", 64, false).with("t16", 16, 1, true);
    }

    @AfterEach
    void close() {
        world.close();
    }

    private long save() throws Exception {
        return world.bus.save(ONE, OutputStream.nullOutputStream());
    }

    /// Callbacks and steps go on until the driver says that it is done.
    @Test
    void theHostWaitsAndTheDeviceWorksOnMeanwhile() throws Exception {
        Mdev mdev = world.bus.create(ONE, "gpu0", "t16");
        CompletableFuture<Void> rest = new CompletableFuture<>();
        CountDownLatch asked = new CountDownLatch(1);
        AtomicBoolean saved = new AtomicBoolean();
        world.driver.onQuiesce =
                () -> {
                    asked.countDown();
                    return rest;
                };
        world.driver.onSave = () -> saved.set(true);
        CompletableFuture<Long> saving =
                CompletableFuture.supplyAsync(() -> {
                    try {
                        return save();
                    } catch (Exception e) {
                        throw new IllegalStateException(e);
                    }
                });
        asked.await();

        assertThat(mdev.calls().step(() -> {})).as("a step").isTrue();
        assertThat(mdev.counters()).isEqualTo(Map.of());
        assertThat(saved).isFalse();
        rest.complete(null);

        assertThat(saving.join()).isPositive();
        assertThat(saved).isTrue();
        assertThat(world.driver.calls).containsSubsequence("stop " + ONE, "resume " + ONE);
    }

    @Test
    void aDeviceThatDoesNotComeToRestIsNamedAndGoesOn() {
        world.close();
        world = new BusWorld(new SplittableRandom(1), Duration.ofMillis(200), card()).plug();
        Mdev mdev = world.bus.create(ONE, "gpu0", "t16");
        world.driver.onQuiesce = CompletableFuture::new;

        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(this::save)
                .satisfies(e -> assertThat(e.errno()).isEqualTo(Errno.ETIMEDOUT))
                .withMessageContaining("quiesce")
                .withMessageContaining(ONE.toString());

        assertThat(world.driver.calls).contains("resume " + ONE).doesNotContain("stop " + ONE);
        assertThat(mdev.calls().step(() -> {})).as("a step afterwards").isTrue();
        world.driver.onQuiesce = () -> CompletableFuture.completedStage(null);
        assertThat(mdev.counters()).isEmpty();
    }

    @Test
    void aDeviceThatFailsToComeToRestGoesOn() {
        world.bus.create(ONE, "gpu0", "t16");
        world.driver.onQuiesce =
                () -> CompletableFuture.failedStage(new IllegalStateException("jammed"));

        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(this::save)
                .satisfies(e -> assertThat(e.errno()).isEqualTo(Errno.EIO))
                .withMessageContaining("jammed");

        assertThat(world.driver.calls).contains("resume " + ONE).doesNotContain("stop " + ONE);
    }

    /// The failure comes later, on a thread of the driver's, as an exception that has no text.
    @Test
    void aFailureThatThrowsWhenItIsAskedIsNamedAndTheDeviceGoesOn() {
        world.bus.create(ONE, "gpu0", "t16");
        world.driver.onQuiesce = LateFailure::new;

        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(this::save)
                .satisfies(e -> assertThat(e.errno()).isEqualTo(Errno.EIO))
                .withMessageContaining("Unnameable")
                .withMessageContaining(ONE.toString());

        assertThat(world.driver.calls).contains("resume " + ONE).doesNotContain("stop " + ONE);
    }

    /// Fails as soon as somebody waits for it.
    private static final class LateFailure extends CompletableFuture<Void> {
        @Override
        public CompletableFuture<Void> whenComplete(
                BiConsumer<? super Void, ? super Throwable> action) {
            CompletableFuture<Void> after = super.whenComplete(action);
            var _ =
                    CompletableFuture.runAsync(
                            () -> assertThat(completeExceptionally(new Unnameable())).isTrue());
            return after;
        }
    }

    private static final class Unnameable extends RuntimeException {
        private static final long serialVersionUID = 1L;

        @Override
        public String getMessage() {
            throw new IllegalStateException("no name today");
        }
    }
}
