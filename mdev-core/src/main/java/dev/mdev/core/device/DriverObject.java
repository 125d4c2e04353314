package dev.mdev.core.device;

import dev.mdev.api.DeviceState;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.Refusal;
import dev.mdev.api.RegionInfo;
import dev.mdev.core.driver.DriverCalls;
import dev.mdev.core.driver.DriverException;
import dev.mdev.core.driver.DriverOutcome;
import dev.mdev.core.pci.PciProfile;

import org.jspecify.annotations.Nullable;

import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.function.Function;

/// What a driver made for one device, as we call it: in the device's turn, with what it throws
/// turned into a value, and never after the device has ended but to close it.
///
/// All methods may be called by any thread once the object is bound.
public final class DriverObject {
    private final UUID uuid;
    private final DriverCalls calls;

    /// Set once, by [#own], before anybody sees it but who ends the device, which waits for that.
    private @Nullable MdevDevice device;

    /// Set once, by [#bind], before a guest or an operator can see the device.
    private @Nullable PciProfile profile;

    /// Null until the driver said whether it is so.
    private volatile @Nullable Boolean movable;

    /// Set before the device's mappings are revoked.
    private volatile boolean ended;

    /// Whether the driver was told to stop and not yet to go on. Changed in the device's turn.
    private volatile boolean stopped;

    /// @param uuid the device's
    DriverObject(UUID uuid, DriverCalls calls) {
        this.uuid = uuid;
        this.calls = calls;
    }

    /// Takes the driver's object, to close it at least.
    public void own(MdevDevice made) {
        device = made;
    }

    /// Whether there is a driver's object.
    public boolean isOwned() {
        return device != null;
    }

    /// Takes what the driver says of the device, after checking it.
    public void bind(PciProfile itsProfile) {
        Set<Integer> seen = new HashSet<>();
        for (RegionInfo region : itsProfile.regions()) {
            if (!seen.add(region.index())) {
                throw new MdevException(
                        Errno.EINVAL, "two regions of one index: region=" + region.index());
            }
        }
        profile = itsProfile;
    }

    /// What the driver said of the device.
    PciProfile profile() {
        PciProfile made = profile;
        if (made == null) {
            throw new IllegalStateException("not bound: mdev=" + uuid);
        }
        return made;
    }

    /// The driver's object, to be called in the device's turn.
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

    /// From now on the driver is asked nothing more but to close the device.
    void end() {
        ended = true;
    }

    boolean hasEnded() {
        return ended;
    }

    /// The turnstile.
    DriverCalls calls() {
        return calls;
    }

    /// Calls the driver in the device's turn.
    ///
    /// @return why it failed, if it did
    Optional<Refusal> run(String callback, Consumer<MdevDevice> body) {
        return calls.run(callback, () -> body.accept(get()));
    }

    /// What to throw for a call that failed: that the device has ended, or what the driver threw.
    MdevException exceptionFor(Refusal refusal) {
        return ended ? removed() : new DriverException(refusal);
    }

    /// Ends the driver's object, after [#end]. Waits for calls that are under way, however long
    /// they take.
    ///
    /// @return what went wrong, if something did; the object is given up all the same
    public Optional<String> close() {
        return calls.runWheneverFree("close", () -> bound().close()).map(Refusal::reason);
    }

    /// Asks the driver something.
    ///
    /// @throws MdevException ENODEV if the device has ended, whatever the driver said; else what
    ///   the driver threw
    public <T> T ask(String callback, Function<MdevDevice, T> question) {
        DriverOutcome<T> outcome = calls.call(callback, () -> question.apply(get()));
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

    /// Whether the device does nothing by itself until somebody gets it.
    public boolean isStopped() {
        return stopped;
    }

    /// Lets the device do nothing by itself. It may be so already, if it was restored while nobody
    /// had it.
    ///
    /// @throws MdevException what the driver threw
    public void stop(DeviceState state) {
        runOrThrow(
                "stop",
                () -> {
                    if (!stopped) {
                        state.stop();
                        stopped = true;
                    }
                });
    }

    /// Lets the device go on.
    ///
    /// @throws MdevException what the driver threw
    public void resume(DeviceState state) {
        runOrThrow(
                "resume",
                () -> {
                    if (stopped) {
                        stopped = false;
                        state.resume();
                    }
                });
    }

    /// The same.
    ///
    /// @return what the driver threw, if it did
    Optional<MdevException> tryResume(DeviceState state) {
        try {
            resume(state);
            return Optional.empty();
        } catch (MdevException e) {
            return Optional.of(e);
        }
    }

    /// Lets a device go on that was restored while nobody had it.
    ///
    /// @throws MdevException what the driver threw
    void resumeRestored() {
        if (stopped) {
            ask("state", MdevDevice::state).ifPresent(this::resume);
        }
    }

    /// Whether the driver lets the device's pages be moved.
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

    /// What the device puts out as a display, whoever has it.
    ///
    /// @throws MdevException what the driver threw, ETIMEDOUT if it is busy for too long
    Scanout scanout() {
        DriverOutcome<Scanout> outcome = calls.call("picture", () -> Scanout.of(get()));
        return switch (outcome) {
            case DriverOutcome.Returned<Scanout> returned -> returned.value();
            case DriverOutcome.Failed<Scanout> failed -> throw failed.refusal().toException();
        };
    }

    /// What the driver counted for the device, by name.
    ///
    /// @throws MdevException what the driver threw, ETIMEDOUT if it is busy for too long, E2BIG if
    ///   there are more than [Mdev#MAX_COUNTERS]
    SortedMap<String, Long> counters() {
        DriverOutcome<SortedMap<String, Long>> outcome =
                calls.call("counters", () -> new TreeMap<>(get().counters()));
        SortedMap<String, Long> counters =
                switch (outcome) {
                    case DriverOutcome.Returned<SortedMap<String, Long>> returned ->
                            returned.value();
                    case DriverOutcome.Failed<SortedMap<String, Long>> failed ->
                            throw failed.refusal().toException();
                };
        if (counters.size() > Mdev.MAX_COUNTERS) {
            throw new MdevException(
                    Errno.E2BIG, "mdev=%s counters=%d".formatted(uuid, counters.size()));
        }
        return counters;
    }

    /// The callback that has been running for longer than it may, if one has, with its time.
    Optional<String> overdueCallback() {
        return calls.overdue()
                .map(call ->
                        "%s for %d ms on thread %s"
                                .formatted(
                                        call.callback(),
                                        (System.nanoTime() - call.sinceNanos()) / 1_000_000,
                                        call.thread().getName()));
    }
}
