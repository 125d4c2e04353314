package dev.mdev.core.ledger;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.store.CrashPlan;
import dev.mdev.core.store.CrashingFiles;
import dev.mdev.core.store.Journal;
import dev.mdev.core.store.StoreException;
import dev.mdev.core.support.Seeded;

import org.junit.jupiter.api.Test;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.UUID;

class LedgerTest {
    private static final String PARENT = "gpu0";
    private static final List<PoolRuns> POOLS =
            List.of(new PoolRuns("vram", List.of(new ApertureRun(0, 100))));

    private final CrashingFiles.Disk disk = new CrashingFiles.Disk(new SplittableRandom(5));
    private final List<StoreException> troubles = new ArrayList<>();

    private Ledger open() {
        return Ledger.open(new CrashingFiles(disk, new CrashPlan()), troubles::add);
    }

    private static Subject subject(int n, long firstPage, long npages) {
        return new Subject(
                new UUID(0, n),
                PARENT,
                "t",
                Owner.OURS,
                List.of(new PoolRuns("vram", List.of(new ApertureRun(firstPage, npages)))));
    }

    private static LedgerRecord randomRecord(SplittableRandom random) {
        List<ApertureRun> runs = List.of(new ApertureRun(random.nextInt(50), random.nextInt(1, 9)));
        String parent = random.nextInt(4) == 0 ? "gpu 1%" : PARENT;
        Subject subject =
                new Subject(
                        new UUID(0, random.nextInt(5)),
                        parent,
                        "type-" + random.nextInt(2),
                        Owner.values()[random.nextInt(3)],
                        random.nextInt(4) == 0 ? List.of() : List.of(new PoolRuns("vram", runs)));
        return switch (random.nextInt(8)) {
            case 0 ->
                    new LedgerRecord.Met(
                            parent,
                            List.of(
                                    new PoolRuns(
                                            "vram",
                                            List.of(new ApertureRun(0, 60 + random.nextInt(2))))));
            case 1 ->
                    new LedgerRecord.Marked(
                            parent, LedgerRecord.Mark.values()[random.nextInt(4)], runs);
            case 2 ->
                    new LedgerRecord.Began(
                            random.nextInt(6),
                            Verb.values()[random.nextInt(Verb.values().length)],
                            subject);
            case 3 -> new LedgerRecord.Stepped(random.nextInt(6), "step " + random.nextInt(3));
            case 4 -> new LedgerRecord.Ended(random.nextInt(6), random.nextBoolean());
            case 5 -> new LedgerRecord.Active(subject);
            case 6 -> new LedgerRecord.Gone(parent, subject.uuid());
            default -> new LedgerRecord.Doomed(parent, subject.uuid());
        };
    }

    @Test
    void everyRecordIsReadBackAsItWasWritten() {
        Seeded.run(
                500,
                random -> {
                    LedgerRecord fact = randomRecord(random);

                    assertThat(LedgerCodec.decode(LedgerCodec.encode(fact))).isEqualTo(fact);
                });
    }

    @Test
    void aChangedCharacterOfARecordIsNeverTakenForAnotherWayToWriteIt() {
        Seeded.run(
                500,
                random -> {
                    String line = LedgerCodec.encode(randomRecord(random));
                    char[] changed = line.toCharArray();
                    changed[random.nextInt(changed.length)] = (char) random.nextInt(0x20, 0x7f);
                    String text = new String(changed);
                    try {
                        assertThat(LedgerCodec.encode(LedgerCodec.decode(text))).isEqualTo(text);
                    } catch (MdevException e) {
                        assertThat(e.errno()).isEqualTo(Errno.EINVAL);
                    }
                });
    }

    @Test
    void theRecordsOfAStateAddUpToThatState() {
        Seeded.run(
                300,
                random -> {
                    LedgerState state = new LedgerState();
                    for (int i = 0; i < 40; i++) {
                        state.apply(randomRecord(random));
                    }
                    LedgerState copy = new LedgerState();
                    state.records().forEach(copy::apply);

                    assertThat(copy.records()).isEqualTo(state.records());
                    for (String parent : List.of(PARENT, "gpu 1%")) {
                        assertThat(copy.dirty(parent)).isEqualTo(state.dirty(parent));
                        assertThat(copy.bad(parent)).isEqualTo(state.bad(parent));
                        assertThat(copy.active(parent)).isEqualTo(state.active(parent));
                        assertThat(copy.doomed(parent)).isEqualTo(state.doomed(parent));
                    }
                    assertThat(copy.unfinished()).isEqualTo(state.unfinished());
                });
    }

    @Test
    void pagesAreDirtyFromTheBeginningOfAVerbUntilTheyWereScrubbed() {
        Ledger ledger = open();
        ledger.met(PARENT, POOLS);
        ledger.markClean(PARENT, List.of(new ApertureRun(0, 100)));

        long op = ledger.begin(Verb.CREATE, subject(1, 10, 5));
        assertThat(open().dirty(PARENT)).containsExactly(new ApertureRun(10, 5));
        ledger.end(op, false);
        assertThat(open().dirty(PARENT)).containsExactly(new ApertureRun(10, 5));
        ledger.markClean(PARENT, List.of(new ApertureRun(10, 2)));
        assertThat(open().dirty(PARENT)).containsExactly(new ApertureRun(12, 3));
    }

    @Test
    void aParentThatWasNeverMetIsDirtyEverywhereAndOneThatWasIsNot() {
        Ledger ledger = open();
        ledger.met(PARENT, POOLS);
        assertThat(ledger.dirty(PARENT)).containsExactly(new ApertureRun(0, 100));
        ledger.markClean(PARENT, List.of(new ApertureRun(0, 100)));

        Ledger next = open();
        next.met(PARENT, POOLS);

        assertThat(next.dirty(PARENT)).isEmpty();
    }

    @Test
    void aParentWithOtherPoolsIsAnotherParent() {
        Ledger ledger = open();
        ledger.met(PARENT, POOLS);
        ledger.markClean(PARENT, List.of(new ApertureRun(0, 100)));
        ledger.markBad(PARENT, List.of(new ApertureRun(7, 1)));

        ledger.met(PARENT, List.of(new PoolRuns("vram", List.of(new ApertureRun(0, 50)))));

        assertThat(ledger.dirty(PARENT)).containsExactly(new ApertureRun(0, 50));
        assertThat(ledger.bad(PARENT)).isEmpty();
    }

    @Test
    void afterRecordsWereLostEveryPageIsDirtyAndBadPagesStayBad() {
        Ledger ledger = open();
        ledger.met(PARENT, POOLS);
        ledger.markClean(PARENT, List.of(new ApertureRun(0, 100)));
        ledger.markBad(PARENT, List.of(new ApertureRun(7, 1)));
        ledger.begin(Verb.START, subject(1, 0, 4));
        String text = disk.text("journal");
        disk.put(
                "journal",
                text.replace("verb=start", "verb=stopp").getBytes(StandardCharsets.US_ASCII));

        Ledger next = open();
        next.met(PARENT, POOLS);

        assertThat(next.opening().damage()).isPresent();
        assertThat(next.dirty(PARENT)).containsExactly(new ApertureRun(0, 100));
        assertThat(next.bad(PARENT)).containsExactly(new ApertureRun(7, 1));
        assertThat(disk.text("journal.damaged")).contains("stopp");
        assertThat(open().opening().damage()).as("told once").isEmpty();
    }

    @Test
    void aVerbThatCannotBeWrittenDownDoesNotBegin() {
        Ledger ledger = open();
        ledger.met(PARENT, POOLS);
        ledger.markClean(PARENT, List.of(new ApertureRun(0, 100)));
        disk.failWith(Errno.ENOSPC);

        assertThatThrownBy(() -> ledger.begin(Verb.CREATE, subject(1, 0, 4)))
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ENOSPC));

        assertThat(ledger.dirty(PARENT)).isEmpty();
        disk.failWith(null);
        ledger.begin(Verb.CREATE, subject(2, 4, 4));
        assertThat(open().opening().unfinished())
                .extracting(one -> one.subject().uuid())
                .containsExactly(new UUID(0, 2));
    }

    @Test
    void whatCouldNotBeWrittenIsPartOfTheNextWriteAndTheOperatorIsTold() {
        Ledger ledger = open();
        ledger.met(PARENT, POOLS);
        disk.failWith(Errno.ENOSPC);
        ledger.markClean(PARENT, List.of(new ApertureRun(0, 100)));
        ledger.active(subject(1, 0, 4));
        assertThat(troubles).hasSize(2);
        disk.failWith(null);

        ledger.markDirty(PARENT, List.of(new ApertureRun(50, 1)));

        Ledger next = open();
        assertThat(next.dirty(PARENT)).containsExactly(new ApertureRun(50, 1));
        assertThat(next.activeOf(PARENT)).containsExactly(subject(1, 0, 4));
        assertThat(next.opening().damage()).isEmpty();
    }

    @Test
    void aFullDiskLetsTheLedgerOpenAndNothingBeginAndForgetsNothing() {
        Ledger before = open();
        before.met(PARENT, POOLS);
        before.markClean(PARENT, List.of(new ApertureRun(0, 100)));
        before.begin(Verb.CREATE, subject(1, 10, 5));
        String old = disk.text("journal");
        disk.failWith(Errno.ENOSPC);

        Ledger full = open();

        assertThat(troubles).singleElement().matches(StoreException::isFull);
        assertThat(full.failure()).hasValueSatisfying(why -> assertThat(why).contains("ENOSPC"));
        assertThat(full.dirty(PARENT)).containsExactly(new ApertureRun(10, 5));
        assertThat(full.opening().unfinished()).hasSize(1);
        assertThatThrownBy(() -> full.begin(Verb.CREATE, subject(2, 20, 5)))
                .isInstanceOfSatisfying(StoreException.class, e -> assertThat(e.isFull()).isTrue());
        full.markDirty(PARENT, List.of(new ApertureRun(50, 1)));
        full.markClean(PARENT, List.of(new ApertureRun(10, 5)));
        assertThat(disk.text("journal")).isEqualTo(old);
        assertThat(open().dirty(PARENT))
                .as("what a restart finds meanwhile")
                .containsExactly(new ApertureRun(10, 5));

        disk.failWith(null);
        full.begin(Verb.CREATE, subject(3, 30, 5));

        assertThat(full.failure()).isEmpty();
        assertThat(open().dirty(PARENT))
                .containsExactly(new ApertureRun(30, 5), new ApertureRun(50, 1));
    }

    @Test
    void aDamagedJournalOnAFullDiskStaysDamagedUntilThereIsRoom() {
        Ledger before = open();
        before.met(PARENT, POOLS);
        before.markClean(PARENT, List.of(new ApertureRun(0, 100)));
        before.step(7, "x");
        String damaged = disk.text("journal").replace("step=x", "step=y");
        disk.put("journal", damaged.getBytes(StandardCharsets.US_ASCII));
        disk.failWith(Errno.ENOSPC);

        for (int restart = 0; restart < 2; restart++) {
            Ledger full = open();
            full.met(PARENT, POOLS);

            assertThat(full.opening().damage()).isPresent();
            assertThat(full.dirty(PARENT)).containsExactly(new ApertureRun(0, 100));
        }
        disk.failWith(null);
        assertThat(open().opening().damage()).isPresent();
        assertThat(disk.text("journal.damaged")).isEqualTo(damaged);
        assertThat(open().opening().damage()).isEmpty();
    }

    @Test
    void aNewDevicesVerbThatIsUnderWayIsNotEndedByThatDevicesCreation() {
        Ledger ledger = open();
        long old = ledger.begin(Verb.REMOVE, subject(1, 0, 4));
        long create = ledger.begin(Verb.CREATE, subject(1, 0, 4));
        long removal = ledger.begin(Verb.REMOVE, subject(1, 0, 4));

        ledger.commit(create);

        assertThat(ledger.unfinished()).extracting(Unfinished::op).containsExactly(removal);
        assertThat(old).isLessThan(create);
    }

    /// Whole lines that mean nothing, as another program may have written them.
    @Test
    void aJournalThatSaysNonsenseIsKeptAside() {
        Journal journal = Journal.open(new CrashingFiles(disk, new CrashPlan()), "journal");
        var _ = journal.read();
        journal.rewrite(List.of("frobnicate op=1"));
        String nonsense = disk.text("journal");

        assertThat(open().opening().damage()).isPresent();

        assertThat(disk.text("journal.damaged")).isEqualTo(nonsense);
        assertThat(open().opening().damage()).as("told once").isEmpty();
    }

    @Test
    void aVerbWhoseBeginningCouldNotBeMadeDurableIsNotFoundAfterARestart() {
        Ledger ledger = open();
        disk.failToSync(true);
        assertThatThrownBy(() -> ledger.begin(Verb.REMOVE, subject(1, 0, 4)))
                .isInstanceOf(StoreException.class);
        disk.failToSync(false);

        assertThat(open().opening().unfinished()).isEmpty();
    }

    @Test
    void aVerbThatCouldNotBeEndedDeletesNoDefinitionThatWasWrittenLater() {
        Ledger ledger = open();
        long removal = ledger.begin(Verb.REMOVE, subject(1, 0, 4));
        ledger.begin(Verb.UNDEFINE, subject(2, 0, 4));
        long definition = ledger.begin(Verb.DEFINE, subject(1, 0, 4));
        ledger.end(definition, true);

        assertThat(open().opening().unfinished())
                .containsExactly(
                        new Unfinished(
                                removal,
                                Verb.REMOVE,
                                subject(1, 0, 4),
                                List.of(Unfinished.UNDEFINED)),
                        new Unfinished(removal + 1, Verb.UNDEFINE, subject(2, 0, 4), List.of()));

        long start = ledger.begin(Verb.START, subject(1, 0, 4));
        ledger.commit(start);

        assertThat(ledger.unfinished()).extracting(Unfinished::verb).containsExactly(Verb.UNDEFINE);
        assertThat(open().activeOf(PARENT)).containsExactly(subject(1, 0, 4));
    }

    @Test
    void theJournalDoesNotGrowWithoutBound() {
        Ledger ledger = open();
        ledger.met(PARENT, POOLS);
        ledger.markClean(PARENT, List.of(new ApertureRun(0, 100)));
        int largest = 0;
        for (int i = 0; i < 6000; i++) {
            long op = ledger.begin(Verb.CREATE, subject(i, 0, 4));
            ledger.end(op, false);
            ledger.markClean(PARENT, List.of(new ApertureRun(0, 4)));
            if (i % 100 == 0) {
                largest = Math.max(largest, disk.text("journal").length());
            }
        }

        assertThat(largest).isBetween(100_000, 300_000);
        assertThat(open().dirty(PARENT)).isEmpty();
    }

    @Test
    void aJournalThatIsFullOfWhatIsSoRefusesMoreUntilLessIsSo() {
        int maxBytes = 16 << 10;
        Ledger ledger =
                Ledger.open(new CrashingFiles(disk, new CrashPlan()), troubles::add, maxBytes);
        List<Subject> made = new ArrayList<>();
        StoreException full = null;
        while (full == null) {
            Subject next = subject(made.size(), made.size(), 1);
            try {
                ledger.commit(ledger.begin(Verb.CREATE, next));
                made.add(next);
            } catch (StoreException e) {
                full = e;
            }
            assertThat(disk.text("journal").length()).isLessThanOrEqualTo(maxBytes);
            assertThat(made).hasSizeLessThan(maxBytes);
        }
        assertThat(full.isFull()).isTrue();
        assertThat(full).hasMessageContaining("journal is full").hasMessageContaining("16384");
        assertThat(made).hasSizeGreaterThan(50);
        assertThatThrownBy(() -> ledger.begin(Verb.CREATE, subject(9999, 0, 1)))
                .isInstanceOf(StoreException.class);
        Ledger restarted = open();
        assertThat(restarted.activeOf(PARENT)).containsExactlyElementsOf(made);

        made.forEach(subject -> ledger.gone(PARENT, subject.uuid()));

        ledger.begin(Verb.CREATE, subject(1, 0, 1));
        assertThat(ledger.failure()).isEmpty();
        assertThat(open().activeOf(PARENT)).isEmpty();
    }

    @Test
    void stepsAndNumbersOfUnfinishedVerbsSurvive() {
        Ledger ledger = open();
        long first = ledger.begin(Verb.CREATE_DEFINED, subject(1, 0, 4));
        ledger.step(first, "defined");
        long second = ledger.begin(Verb.MOVE, subject(2, 4, 4));

        Ledger next = open();

        assertThat(next.opening().unfinished())
                .containsExactly(
                        new Unfinished(
                                first, Verb.CREATE_DEFINED, subject(1, 0, 4), List.of("defined")),
                        new Unfinished(second, Verb.MOVE, subject(2, 4, 4), List.of()));
        assertThat(next.begin(Verb.STOP, subject(3, 8, 4))).isGreaterThan(second);
    }
}
