package dev.mdev.host.access;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;

import org.junit.jupiter.api.Test;

import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicLong;

/// What is kept of requests with a key, and for how long.
class KeptAnswersTest {
    private static final KeptAnswers.Answer ANSWER =
            new KeptAnswers.Answer(201, null, null, ByteBuffer.allocate(1));

    private final AtomicLong nanos = new AtomicLong(Long.MAX_VALUE - 5);
    private final KeptAnswers answers = new KeptAnswers(nanos::get);

    private static KeptAnswers.Key key(String caller, int number) {
        return new KeptAnswers.Key(
                new Caller(caller, Caller.Means.TOKEN, Role.OPERATOR, Reach.EVERYTHING),
                "key" + number);
    }

    private void done(KeptAnswers.Key key) {
        assertThat(answers.begin(key, "r")).isEmpty();
        answers.end(key, ANSWER);
    }

    @Test
    void anAnswerIsKnownForItsTimeAndNoLonger() {
        done(key("a", 1));
        nanos.addAndGet(KeptAnswers.TIME.toNanos());
        assertThat(answers.begin(key("a", 1), "r")).contains(ANSWER);

        nanos.incrementAndGet();

        assertThat(answers.begin(key("a", 1), "r")).isEmpty();
    }

    @Test
    void theSameKeyOfAnotherCallerIsAnotherKey() {
        done(key("a", 1));
        assertThat(answers.begin(key("b", 1), "r")).isEmpty();
    }

    @Test
    void aKeyIsFreeAgainIfNothingHappened() {
        assertThat(answers.begin(key("a", 1), "r")).isEmpty();
        answers.end(key("a", 1), null);
        assertThat(answers.begin(key("a", 1), "other")).isEmpty();
    }

    @Test
    void aKeyOfAnotherRequestAndOneThatRunsAreRefused() {
        assertThat(answers.begin(key("a", 1), "r")).isEmpty();
        requireRefused(key("a", 1), "r", Problem.UNAVAILABLE);
        requireRefused(key("a", 1), "other", Problem.INVALID);
        nanos.addAndGet(2 * KeptAnswers.TIME.toNanos());
        requireRefused(key("a", 1), "r", Problem.UNAVAILABLE);
    }

    private void requireRefused(KeptAnswers.Key key, String request, Problem problem) {
        assertThatThrownBy(() -> answers.begin(key, request))
                .isInstanceOfSatisfying(
                        ProblemException.class, e -> assertThat(e.problem()).isEqualTo(problem));
    }

    @Test
    void aCallerWithManyKeysPushesOutItsOwnOldest() {
        done(key("b", 1));
        for (int i = 0; i <= KeptAnswers.MAX_KEYS_OF_CALLER; i++) {
            done(key("a", i));
        }
        assertThat(answers.begin(key("a", 1), "r")).contains(ANSWER);
        assertThat(answers.begin(key("a", 0), "r")).isEmpty();
        assertThat(answers.begin(key("b", 1), "r")).contains(ANSWER);
    }

    @Test
    void ofManyCallersTheOldestKeyGoesAndNoneThatRuns() {
        assertThat(answers.begin(key("first", 0), "r")).isEmpty();
        for (int i = 1; i <= KeptAnswers.MAX_KEYS; i++) {
            done(key("caller" + i, 0));
        }
        requireRefused(key("first", 0), "r", Problem.UNAVAILABLE);
        assertThat(answers.begin(key("caller2", 0), "r")).contains(ANSWER);
        assertThat(answers.begin(key("caller1", 0), "r")).isEmpty();
    }

    @Test
    void moreThanMayRunAreRefused() {
        for (int i = 0; i < KeptAnswers.MAX_KEYS_OF_CALLER; i++) {
            assertThat(answers.begin(key("a", i), "r")).isEmpty();
        }
        requireRefused(key("a", -1), "r", Problem.UNAVAILABLE);
        assertThat(answers.begin(key("b", 1), "r")).isEmpty();
    }
}
