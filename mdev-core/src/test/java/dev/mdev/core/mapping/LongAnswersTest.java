package dev.mdev.core.mapping;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.GrantCheck;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Prot;
import dev.mdev.core.driver.DriverCalls;
import dev.mdev.core.hostmm.FaultResult;
import dev.mdev.core.hostmm.VmaFault;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/// Answers whose text is longer than the host keeps: each fault is recorded with its beginning.
final class LongAnswersTest {
    private static final String NOVEL = "x".repeat(7_000_000);

    private final List<FaultRecord> told = new ArrayList<>();

    private record Verbose(MapDecision answer) implements MdevDevice {
        @Override
        public List<RegionInfo> regions() {
            return List.of();
        }

        @Override
        public MapDecision validateMapRequest(MapRequest request) {
            return answer;
        }

        @Override
        public void reset() {}
    }

    static Stream<MapDecision> answers() {
        return Stream.of(
                new MapDecision.Deny(NOVEL),
                new MapDecision.Again(NOVEL),
                new MapDecision.FromPool(3, NOVEL, 3, 1, Prot.READ_WRITE));
    }

    @ParameterizedTest(name = "{index}")
    @MethodSource("answers")
    void theTextOfAnAnswerIsCutWhereItEnters(MapDecision answer) {
        DriverCalls calls = new DriverCalls("mdev=x", Duration.ofHours(1), (_, _, _) -> {});
        GrantCheck none = new GrantCheck(List.of(), List.of(), _ -> Optional.empty());
        RegionVmaOps ops =
                new RegionVmaOps(
                        0,
                        RegionArea.lazyPages(0, 8),
                        () -> new Verbose(answer),
                        calls,
                        new RegionVmaOps.Checks(none, List.of(), told::add));

        assertThat(ops.fault(new VmaFault(3, 0, 8, Access.READ, VmaFault.Reason.POPULATE)))
                .isInstanceOfSatisfying(
                        FaultResult.Failed.class,
                        failed -> requireShort(failed.refusal().reason()));
        assertThat(told).singleElement().satisfies(fault -> requireShort(fault.answer()));
    }

    private static void requireShort(String text) {
        assertThat(text).hasSizeLessThan(1200).contains("(7000000 characters)");
    }
}
