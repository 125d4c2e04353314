package dev.mdev.core.device;

import dev.mdev.api.DeviceState;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.Refusal;
import dev.mdev.core.driver.Doorbells;
import dev.mdev.core.driver.DriverCalls;
import dev.mdev.core.driver.DriverException;
import dev.mdev.core.driver.DriverOutcome;
import dev.mdev.core.driver.DriverText;
import dev.mdev.core.driver.HostsWork;
import dev.mdev.core.pci.PciProfile;

import org.jspecify.annotations.Nullable;

import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import java.util.function.Function;

/// A driver's object for one device, and the calls of it: in the device's turn, with exceptions
/// turned into values, and after the device's end only to close it.
///
/// Any thread may call all methods once the object is bound.
public final class DriverObject {
    private static final int MAX_COUNTER_NAME_CHARS = 128;
    private static final String QUIESCE = "quiesce";

    private final UUID uuid;
    private final DriverCalls calls;
    private final Doorbells doorbells;
    private final Consumer<String> trouble;

    /// Set once, by [#own], before other threads see it; only the thread that ends the device sees
    /// it earlier, and waits for it.
    private @Nullable MdevDevice device;

    /// Set once, by [#bind], before a guest or an operator can see the device.
    private @Nullable PciProfile profile;

    /// Null until the driver has answered.
    private volatile @Nullable Boolean movable;

    /// Set before the device's mappings are revoked.
    private volatile boolean ended;

    /// Whether the driver has been stopped and not yet resumed. Changed in the device's turn.
    private volatile boolean stopped;

    /// @param uuid the device's
    /// @param trouble receives failures that no caller waits for
    DriverObject(UUID uuid, DriverCalls calls, Consumer<String> trouble) {
        this.uuid = uuid;
        this.calls = calls;
        this.trouble = trouble;
        this.doorbells = new Doorbells(calls, doorbell -> get().rung(doorbell), this::tell);
    }

    /// Tells the operator of a failure of the driver, for which no operator waits.
    void tell(String failure) {
        // At its end, a driver may fail in whatever it still does.
        if (!ended) {
            trouble.accept(failure);
        }
    }

    /// Takes ownership of the driver's object, to close it at least.
    public void own(MdevDevice made) {
        device = made;
    }

    /// Whether there is a driver's object.
    public boolean isOwned() {
        return device != null;
    }

    /// Takes the driver's description of the device, after checking it.
    public void bind(PciProfile itsProfile) {
        profile = itsProfile;
        doorbells.install(itsProfile.doorbells().size());
    }

    /// The driver's description of the device.
    PciProfile profile() {
        PciProfile made = profile;
        if (made == null) {
            throw new IllegalStateException("not bound: mdev=" + uuid);
        }
        return made;
    }

    /// The driver's object, for calls in the device's turn.
    ///
    /// @throws MdevException ENODEV if the device has ended
    MdevDevice get() {
        requireAlive();
        return bound();
    }

    /// @throws MdevException ENODEV if the device has ended
    public void requireAlive() {
        if (ended) {
            throw removed();
        }
    }

    private MdevException removed() {
        return new MdevException(Errno.ENODEV, "mdev=%s was removed".formatted(uuid));
    }

    private MdevDevice bound() {
        MdevDevice made = device;
        if (made == null) {
            throw new IllegalStateException("not bound: mdev=" + uuid);
        }
        return made;
    }

    /// From now on the driver is called only to close the device.
    void end() {
        ended = true;
        calls.holdSteps();
    }

    boolean hasEnded() {
        return ended;
    }

    /// The turnstile.
    DriverCalls calls() {
        return calls;
    }

    /// What guests, or the driver itself, ring.
    public Doorbells doorbells() {
        return doorbells;
    }

    /// Calls the driver in the device's turn.
    ///
    /// @return why it failed, if it did
    Optional<Refusal> run(String callback, Consumer<MdevDevice> body) {
        return calls.run(callback, () -> body.accept(get()));
    }

    /// Calls the driver in the device's turn, while the device stands still.
    ///
    /// @return why it failed, if it did; ETIMEDOUT if a step of the device does not end
    Optional<Refusal> runStill(String callback, Consumer<MdevDevice> body) {
        return calls.runStill(callback, () -> body.accept(get()));
    }

    /// The same, after work of the host's own: see [DriverCalls#runStill(String, HostsWork,
    /// Runnable)].
    Optional<Refusal> runStill(String callback, HostsWork hostsWork, Consumer<MdevDevice> body) {
        return calls.runStill(callback, hostsWork, () -> body.accept(get()));
    }

    /// The exception for a failed call: that the device has ended, or the driver's error.
    MdevException exceptionFor(Refusal refusal) {
        return ended ? removed() : new DriverException(refusal);
    }

    /// Ends the driver's object, after [#end]. Waits for running calls, without a limit.
    ///
    /// @return the failure, if any; the object is released in any case
    public Optional<String> close() {
        return calls.runAtLast("close", () -> bound().close()).map(Refusal::reason);
    }

    /// Asks the driver for a value.
    ///
    /// @throws MdevException ENODEV if the device has ended, regardless of the answer; otherwise
    ///   the driver's error
    public <T> T ask(String callback, Function<MdevDevice, T> question) {
        return orThrow(calls.call(callback, () -> question.apply(get())));
    }

    private <T> T orThrow(DriverOutcome<T> outcome) {
        if (outcome instanceof DriverOutcome.Failed) {
            requireAlive();
        }
        return outcome.orThrow();
    }

    /// Lets the driver do something.
    ///
    /// @throws MdevException as [#ask]
    private void runOrThrow(String callback, Runnable body) {
        orThrow(run(callback, _ -> body.run()));
    }

    /// @throws MdevException [#exceptionFor] the refusal, if there is one
    void orThrow(Optional<Refusal> refusal) {
        if (refusal.isPresent()) {
            throw exceptionFor(refusal.get());
        }
    }

    /// Whether the device does nothing by itself until it is assigned.
    public boolean isStopped() {
        return stopped;
    }

    /// Stops the device: no step begins until [#resume]. It may already be stopped, if it was
    /// restored while idle.
    ///
    /// @throws MdevException the driver's error; ETIMEDOUT if it does not come to rest, or a step
    ///   does not end
    public void stop(DeviceState state) {
        if (stopped) {
            return;
        }
        Optional<Refusal> failure = bringToRest(state);
        if (failure.isEmpty()) {
            failure = calls.runStill("stop", () -> stopInTurn(state));
        }
        if (failure.isPresent()) {
            MdevException thrown = exceptionFor(failure.get());
            run("resume", _ -> state.resume())
                    .ifPresent(refusal -> thrown.addSuppressed(exceptionFor(refusal)));
            throw thrown;
        }
    }

    private void stopInTurn(DeviceState state) {
        requireAlive();
        if (!stopped) {
            state.stop();
            stopped = true;
            calls.holdSteps();
        }
    }

    /// Waits, without the device's turn, until the device has finished what it cannot stop.
    ///
    /// @return why it has not, if it has not
    private Optional<Refusal> bringToRest(DeviceState state) {
        // Why it has not, as a text: the exception is the driver's, and may throw when it is asked.
        CompletableFuture<Optional<String>> rest = new CompletableFuture<>();
        Optional<Refusal> failure =
                run(
                                QUIESCE,
                                _ ->
                                        state.quiesce()
                                                .whenComplete((_, thrown) ->
                                                        rest.complete(whyOf(thrown))))
                        .or(() -> awaitRest(rest));
        failure.ifPresent(refusal -> tell(refusal.reason()));
        return failure;
    }

    private static Optional<String> whyOf(@Nullable Throwable thrown) {
        return Optional.ofNullable(thrown).map(DriverText::of);
    }

    private Optional<Refusal> awaitRest(CompletableFuture<Optional<String>> rest) {
        try {
            return rest.get(calls.deadline().toNanos(), TimeUnit.NANOSECONDS)
                    .map(why -> refusal(Errno.EIO, why));
        } catch (TimeoutException e) {
            return Optional.of(
                    refusal(
                            Errno.ETIMEDOUT,
                            "the device does not come to rest within %d ms"
                                    .formatted(calls.deadline().toMillis())));
        } catch (ExecutionException e) {
            throw new IllegalStateException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return Optional.of(refusal(Errno.EINTR, "interrupted while waiting"));
        }
    }

    private Refusal refusal(Errno errno, String what) {
        return new Refusal(errno, "%s %s: %s".formatted(calls.owner(), QUIESCE, what));
    }

    /// Resumes the device.
    ///
    /// @throws MdevException the driver's error
    public void resume(DeviceState state) {
        runOrThrow(
                "resume",
                () -> {
                    if (stopped) {
                        stopped = false;
                        // First: the driver may look for work at once.
                        calls.releaseSteps();
                        state.resume();
                        // What rang elsewhere, before the device came here, is not in its state.
                        doorbells.ringAll();
                    }
                });
    }

    /// The same.
    ///
    /// @return the driver's error, if it failed
    Optional<MdevException> tryResume(DeviceState state) {
        try {
            resume(state);
            return Optional.empty();
        } catch (MdevException e) {
            return Optional.of(e);
        }
    }

    /// Resumes a device that was restored while idle.
    ///
    /// @throws MdevException the driver's error
    void resumeRestored() {
        if (stopped) {
            ask("state", MdevDevice::state).ifPresent(this::resume);
        }
    }

    /// Whether the driver allows moves of the device's pages.
    public boolean isMovable() {
        Boolean known = movable;
        if (known == null
                && calls.call("isMovable", () -> get().isMovable())
                        instanceof DriverOutcome.Returned<Boolean> answer) {
            known = answer.value();
            movable = known;
        }
        return known != null && known;
    }

    /// The device's output as a display, whether it is assigned or idle.
    ///
    /// @throws MdevException the driver's error, ETIMEDOUT if it is busy for too long
    Scanout scanout() {
        return ask("picture", Scanout::of);
    }

    /// The driver's counters of the device, by name.
    ///
    /// @throws MdevException the driver's error, ETIMEDOUT if it is busy for too long, E2BIG if
    ///   there are more than [Mdev#MAX_COUNTERS]
    SortedMap<String, Long> counters() {
        return ask("counters", made -> bounded(made.counters()));
    }

    private static SortedMap<String, Long> bounded(Map<String, Long> counters) {
        requireFew(counters.size());
        SortedMap<String, Long> bounded = new TreeMap<>();
        int taken = 0;
        for (Map.Entry<String, Long> counter : counters.entrySet()) {
            // A map of the driver's own may have more than it said.
            taken++;
            requireFew(taken);
            bounded.put(
                    DriverText.cut(counter.getKey(), MAX_COUNTER_NAME_CHARS),
                    Objects.requireNonNull(counter.getValue(), "a counter without a value"));
        }
        return bounded;
    }

    private static void requireFew(int counters) {
        if (counters > Mdev.MAX_COUNTERS) {
            throw new MdevException(Errno.E2BIG, "counters=" + counters);
        }
    }

    /// The callback that exceeds its deadline, if any, with its duration.
    Optional<String> overdueCallback() {
        return calls.overdue().map(call -> call.callback() + " " + call.inWords());
    }
}
