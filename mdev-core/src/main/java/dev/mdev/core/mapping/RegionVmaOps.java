package dev.mdev.core.mapping;

import dev.mdev.api.Errno;
import dev.mdev.api.GrantCheck;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.Refusal;
import dev.mdev.api.RegionArea;
import dev.mdev.api.page.Page;
import dev.mdev.core.driver.DriverCalls;
import dev.mdev.core.driver.DriverOutcome;
import dev.mdev.core.driver.DriverText;
import dev.mdev.core.elastic.DeviceMemory;
import dev.mdev.core.hostmm.FaultResult;
import dev.mdev.core.hostmm.Fill;
import dev.mdev.core.hostmm.VmaFault;
import dev.mdev.core.hostmm.VmaOps;
import dev.mdev.core.sync.Cancellation;

import org.jspecify.annotations.Nullable;

import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/// Answers faults in one lazy area of a device's region by asking its driver: the only caller of
/// [MdevDevice#validateMapRequest].
///
/// The framework holds no lock while the driver decides.
public final class RegionVmaOps implements VmaOps {
    private static final String CALLBACK = "validateMapRequest";

    /// Before a request is sent again, if nothing of the device ends: twice as long each time.
    private static final long SHORTEST_PAUSE_NANOS = TimeUnit.MICROSECONDS.toNanos(50);

    private static final long LONGEST_PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(10);

    private final int region;
    private final Supplier<MdevDevice> device;
    private final DriverCalls calls;
    private final Checks checks;
    private final FaultSink sink;

    /// The area's first page, and the pages that were mapped during this assignment.
    private final long firstPage;

    private final PageSet touched;

    private final MapAhead ahead;

    /// @param device the driver's object; throws if calls are no longer allowed
    public RegionVmaOps(
            int region,
            RegionArea area,
            Supplier<MdevDevice> device,
            DriverCalls calls,
            Checks checks) {
        this.region = region;
        this.device = device;
        this.calls = calls;
        this.checks = checks;
        this.sink = checks.sink();
        this.firstPage = Page.numberOf(area.offsetBytes());
        this.touched = new PageSet(Page.numberOf(area.sizeBytes()));
        this.ahead = new MapAhead(area.aheadPages());
    }

    /// Where answers are checked, and where faults are reported.
    ///
    /// @param elastic the device's elastic shares
    public record Checks(GrantCheck grants, List<DeviceMemory> elastic, FaultSink sink) {
        public Checks {
            elastic = List.copyOf(elastic);
        }
    }

    /// Receives every fault, on the faulting thread.
    @FunctionalInterface
    public interface FaultSink {
        void faulted(FaultRecord fault);
    }

    @Override
    public Fill fault(VmaFault fault) {
        return ahead.fault(requestOf(fault), this::ask);
    }

    private MapRequest requestOf(VmaFault fault) {
        return new MapRequest(
                region,
                fault.page(),
                fault.firstPage(),
                fault.endPage(),
                fault.access(),
                reasonOf(fault));
    }

    /// @param isTrial whether a smaller request follows a failure, so that no guest fails
    private Fill ask(MapRequest request, boolean isTrial) {
        long start = System.nanoTime();
        DriverOutcome<MapDecision> outcome = decision(request);
        long driverNanos = System.nanoTime() - start;
        Answer answer =
                switch (outcome) {
                    case DriverOutcome.Returned<MapDecision> returned ->
                            judge(request, returned.value());
                    case DriverOutcome.Failed<MapDecision> failed ->
                            new Answer(
                                    FaultRecord.Outcome.FAILED,
                                    failed.refusal().reason(),
                                    new FaultResult.Failed(failed.refusal()));
                };
        if (answer.fill() instanceof FaultResult.Failed cancelled
                && Cancellation.isCancelled()
                && cancelled.refusal().errno() == Cancellation.errno()) {
            // The driver was not asked: a step or a program must end, and no guest waits.
            return cancelled;
        }
        return switch (answer.fill()) {
            // Told when it is mapped: a grant that is revoked before that is none.
            case Fill.Map map ->
                    new Fill.Map(
                            map.firstPage(),
                            map.pfns(),
                            map.prot(),
                            end -> tell(request, answer.asMapped(end), driverNanos));
            case FaultResult.NotMapped refused -> {
                boolean harmless =
                        isTrial
                                && refused instanceof FaultResult.Failed failed
                                && MapAhead.isWorthAnother(failed.refusal().errno());
                tell(harmless ? MapAhead.asPrefetch(request) : request, answer, driverNanos);
                yield refused;
            }
        };
    }

    /// Sends a request until the driver decides, with the turn given up in between, or until it can
    /// or may not be sent again.
    private DriverOutcome<MapDecision> decision(MapRequest request) {
        long start = System.nanoTime();
        long pauseNanos = SHORTEST_PAUSE_NANOS;
        while (true) {
            DriverOutcome<MapDecision> outcome =
                    calls.access(CALLBACK, () -> device.get().validateMapRequest(request));
            boolean isDecided =
                    !(outcome instanceof DriverOutcome.Returned<MapDecision> returned
                            && returned.value() instanceof MapDecision.Again);
            if (isDecided
                    || !mayRepeat(request)
                    || System.nanoTime() - start >= calls.deadline().toNanos()) {
                return outcome;
            }
            Optional<DriverOutcome<MapDecision>> ended = calls.awaitOthers(CALLBACK, pauseNanos);
            if (ended.isPresent()) {
                return ended.get();
            }
            pauseNanos = Math.min(2 * pauseNanos, LONGEST_PAUSE_NANOS);
        }
    }

    private boolean mayRepeat(MapRequest request) {
        return request.reason() != MapRequest.Reason.PREFETCH && !calls.isInTurn();
    }

    private void tell(MapRequest request, Answer answer, long driverNanos) {
        sink.faulted(
                new FaultRecord(
                        Instant.now(), request, answer.outcome(), answer.reply(), driverNanos));
    }

    private MapRequest.Reason reasonOf(VmaFault fault) {
        return switch (fault.reason()) {
            case POPULATE -> MapRequest.Reason.PREFETCH;
            case UPGRADE -> MapRequest.Reason.UPGRADE;
            case ABSENT ->
                    touched.contains(fault.page() - firstPage)
                            ? MapRequest.Reason.AFTER_REVOKE
                            : MapRequest.Reason.FIRST_TOUCH;
        };
    }

    private Answer judge(MapRequest request, MapDecision decision) {
        return switch (decision) {
            case MapDecision.Grant grant ->
                    checks.grants()
                            .violation(request, grant)
                            .map(RegionVmaOps::refused)
                            .orElseGet(() -> granted(grant));
            case MapDecision.FromPool grant -> judgeFromPool(request, cut(grant));
            case MapDecision.Trap _ ->
                    new Answer(FaultRecord.Outcome.TRAPPED, "trap", new FaultResult.Trapped());
            case MapDecision.Deny deny -> denied(DriverText.cut(deny.reason()));
            case MapDecision.Again again -> undecided(request, DriverText.cut(again.reason()));
        };
    }

    private Answer undecided(MapRequest request, String reason) {
        Refusal refusal =
                mayRepeat(request)
                        ? new Refusal(
                                Errno.ETIMEDOUT,
                                "%s %s: no decision within %d ms: %s"
                                        .formatted(
                                                calls.owner(),
                                                CALLBACK,
                                                calls.deadline().toMillis(),
                                                reason))
                        : new Refusal(
                                Errno.EAGAIN,
                                "%s %s: no decision, and nobody can wait for one: %s"
                                        .formatted(calls.owner(), CALLBACK, reason));
        return new Answer(
                FaultRecord.Outcome.FAILED, refusal.reason(), new FaultResult.Failed(refusal));
    }

    private static Answer denied(String reason) {
        return new Answer(
                FaultRecord.Outcome.DENIED,
                "deny: " + reason,
                new FaultResult.Failed(Errno.EACCES, "denied by the driver: " + reason));
    }

    /// The same grant with a pool whose name is not too long to be told. No pool has a longer one.
    private static MapDecision.FromPool cut(MapDecision.FromPool grant) {
        return new MapDecision.FromPool(
                grant.firstPage(),
                DriverText.cutName(grant.pool()),
                grant.sharePage(),
                grant.npages(),
                grant.prot());
    }

    private Answer judgeFromPool(MapRequest request, MapDecision.FromPool grant) {
        DeviceMemory memory = elastic(grant.pool());
        Optional<String> violation =
                GrantCheck.violation(request, grant, memory == null ? 0 : memory.npages());
        if (violation.isPresent() || memory == null) {
            return refused(violation.orElse("no elastic share: pool=" + grant.pool()));
        }
        try {
            return granted(memory.mapIn(request, grant));
        } catch (MdevException e) {
            Refusal refusal = Refusal.of(e);
            return new Answer(
                    FaultRecord.Outcome.FAILED, refusal.reason(), new FaultResult.Failed(refusal));
        }
    }

    private @Nullable DeviceMemory elastic(String pool) {
        for (DeviceMemory memory : checks.elastic()) {
            if (memory.pool().equals(pool)) {
                return memory;
            }
        }
        return null;
    }

    private static Answer granted(MapDecision.Grant grant) {
        return new Answer(
                FaultRecord.Outcome.GRANTED,
                new FaultRecord.Reply.Granted(grant),
                new Fill.Map(grant.firstPage(), grant.pfns(), grant.prot()));
    }

    private static Answer refused(String violation) {
        return new Answer(
                FaultRecord.Outcome.REFUSED,
                violation,
                new FaultResult.Failed(Errno.EIO, "the driver's grant was refused: " + violation));
    }

    private record Answer(FaultRecord.Outcome outcome, FaultRecord.Reply reply, Fill fill) {
        Answer(FaultRecord.Outcome outcome, String words, Fill fill) {
            this(outcome, new FaultRecord.Reply.Words(words), fill);
        }

        /// This accepted grant after its installation, which may have failed in the engine.
        Answer asMapped(FaultResult end) {
            return end instanceof FaultResult.Failed failed
                    ? new Answer(FaultRecord.Outcome.FAILED, failed.refusal().reason(), failed)
                    : this;
        }
    }

    /// The driver revoked each of its answers for as long as a fault may take.
    @Override
    public Refusal overtaken(VmaFault fault, int answers) {
        Refusal refusal =
                new Refusal(
                        Errno.EAGAIN,
                        "%s revoked each of its %d answers: region=%d page=0x%x"
                                .formatted(calls.owner(), answers, region, fault.page()));
        tell(
                requestOf(fault),
                new Answer(
                        FaultRecord.Outcome.FAILED,
                        refusal.reason(),
                        new FaultResult.Failed(refusal)),
                0);
        return refusal;
    }

    @Override
    public void installed(long installedFirstPage, long npages) {
        for (long page = installedFirstPage; page < installedFirstPage + npages; page++) {
            touched.add(page - firstPage);
        }
    }

    @Override
    public void removed(long page) {
        ahead.revoked();
    }
}
