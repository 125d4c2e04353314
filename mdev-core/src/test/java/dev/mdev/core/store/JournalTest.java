package dev.mdev.core.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.support.Seeded;

import org.junit.jupiter.api.Test;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

class JournalTest {
    private static final String NAME = "journal";

    private final CrashingFiles.Disk disk = new CrashingFiles.Disk(new SplittableRandom(7));
    private final CrashingFiles files = new CrashingFiles(disk, new CrashPlan());

    private Journal fresh(String... texts) {
        Journal journal = Journal.open(files, NAME);
        journal.read();
        journal.rewrite(List.of(texts));
        return journal;
    }

    private Journal.Content readBack() {
        return Journal.open(files, NAME).read();
    }

    @Test
    void aFileThatIsNotThereIsAnEmptyJournal() {
        Journal.Content content = readBack();

        assertThat(content.texts()).isEmpty();
        assertThat(content.torn()).isFalse();
        assertThat(content.damage()).isEmpty();
    }

    @Test
    void linesAreReadBackInOrderAlsoAfterARewrite() {
        Journal journal = fresh("one", "two");
        journal.append("three x=%20", true);
        journal.append("four", false);

        assertThat(readBack().texts()).containsExactly("one", "two", "three x=%20", "four");
        journal.rewrite(List.of("five"));
        journal.append("six", false);
        assertThat(readBack().texts()).containsExactly("five", "six");
        assertThat(readBack().damage()).isEmpty();
    }

    @Test
    void nothingIsAppendedBeforeTheFileWasRewritten() {
        Journal journal = Journal.open(files, NAME);

        assertThatThrownBy(() -> journal.append("one", true))
                .isInstanceOf(IllegalStateException.class);
    }

    @Test
    void textThatIsNotOneLineOfAsciiIsRefused() {
        Journal journal = fresh();

        for (String text : List.of("a\nb", "é", "\r", "\0")) {
            assertThatThrownBy(() -> journal.append(text, true)).isInstanceOf(MdevException.class);
        }
        journal.append("good", true);
        assertThat(readBack().texts()).containsExactly("good");
    }

    @Test
    void aLineWithoutAnEndIsDroppedWhereverItWasTorn() {
        Journal journal = fresh("one");
        journal.append("two", true);
        byte[] whole = disk.text(NAME).getBytes(StandardCharsets.ISO_8859_1);
        int start = disk.text(NAME).indexOf('\n', disk.text(NAME).indexOf("one")) + 1;
        for (int length = start + 1; length < whole.length; length++) {
            disk.put(NAME, Arrays.copyOf(whole, length));

            Journal.Content content = readBack();

            assertThat(content.texts()).containsExactly("one");
            assertThat(content.torn()).isTrue();
            assertThat(content.damage()).isEmpty();
        }
    }

    @Test
    void anyChangedBitButATornEndIsSeenAndTheRestIsRead() {
        Journal journal = fresh("one");
        journal.append("two", true);
        journal.append("three", true);
        byte[] whole = disk.text(NAME).getBytes(StandardCharsets.ISO_8859_1);
        for (int bit = 0; bit < whole.length * 8; bit++) {
            byte[] flipped = whole.clone();
            flipped[bit / 8] ^= (byte) (1 << (bit % 8));
            disk.put(NAME, flipped);

            Journal reading = Journal.open(files, NAME);
            Journal.Content content = reading.read();
            reading.rewrite(content.texts());

            boolean lostItsEnd = bit / 8 == whole.length - 1;
            assertThat(content.torn()).as("bit %d", bit).isEqualTo(lostItsEnd);
            assertThat(content.damage().isPresent()).as("bit %d", bit).isEqualTo(!lostItsEnd);
            assertThat(content.texts()).as("bit %d", bit).isSubsetOf("one", "two", "three");
            if (!lostItsEnd) {
                // As bytes: a failure's message must not hold control characters.
                String damaged = disk.text(NAME + Journal.DAMAGED);
                assertThat(damaged.getBytes(StandardCharsets.ISO_8859_1)).isEqualTo(flipped);
            }
        }
    }

    @Test
    void aMissingOrDoubledLineIsDamage() {
        fresh("one", "two", "three");
        List<String> lines = disk.text(NAME).lines().toList();
        for (int i = 1; i < lines.size() - 1; i++) {
            List<String> missing = new ArrayList<>(lines);
            missing.remove(i);
            disk.put(NAME, bytes(missing));
            assertThat(readBack().damage()).isPresent();

            List<String> doubled = new ArrayList<>(lines);
            doubled.add(i, lines.get(i));
            disk.put(NAME, bytes(doubled));
            assertThat(readBack().damage()).isPresent();
        }
    }

    private static byte[] bytes(List<String> lines) {
        return (String.join("\n", lines) + "\n").getBytes(StandardCharsets.ISO_8859_1);
    }

    @Test
    void aFileOfAnotherVersionIsNotTouched() {
        String rest = "0 mdev-journal version=2";
        disk.put(NAME, bytes(List.of(Checksum.of(rest) + " " + rest)));

        assertThatThrownBy(this::readBack)
                .isInstanceOfSatisfying(
                        MdevException.class,
                        e -> assertThat(e.errno()).isEqualTo(Errno.EOPNOTSUPP));
        assertThat(disk.text(NAME)).contains("version=2");
    }

    @Test
    void afterAFailedAppendTheFileIsRewrittenBeforeTheNext() {
        Journal journal = fresh("one");
        disk.failWith(Errno.ENOSPC);
        assertThatThrownBy(() -> journal.append("lost", true))
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ENOSPC));
        assertThat(journal.mustRewrite()).isTrue();
        assertThatThrownBy(() -> journal.rewrite(List.of("one"))).isInstanceOf(MdevException.class);
        disk.failWith(null);

        journal.rewrite(List.of("one"));
        journal.append("two", true);

        assertThat(readBack().texts()).containsExactly("one", "two");
        assertThat(readBack().damage()).isEmpty();
    }

    @Test
    void aDamagedFileIsNotReplacedBeforeThereIsACopyOfIt() {
        fresh("one", "two");
        String damaged = disk.text(NAME).replace("one", "0ne");
        disk.put(NAME, damaged.getBytes(StandardCharsets.ISO_8859_1));
        Journal journal = Journal.open(files, NAME);
        Journal.Content content = journal.read();
        disk.failWith(Errno.ENOSPC);
        assertThatThrownBy(() -> journal.rewrite(content.texts()))
                .isInstanceOf(StoreException.class);
        assertThat(disk.text(NAME)).isEqualTo(damaged);
        disk.failWith(null);

        journal.rewrite(content.texts());

        assertThat(disk.text(NAME + Journal.DAMAGED)).isEqualTo(damaged);
        assertThat(readBack().texts()).containsExactly("two");
    }

    @Test
    void aLineThatWasWrittenAndNotMadeDurableIsTakenBack() {
        Journal journal = fresh("one");
        disk.failToSync(true);

        assertThatThrownBy(() -> journal.append("two", true)).isInstanceOf(StoreException.class);

        assertThat(readBack().texts()).as("what a restart finds").containsExactly("one");
        assertThat(readBack().torn()).isFalse();
        assertThat(journal.mustRewrite()).isTrue();
    }

    @Test
    void aRewriteThatDoesNotBeginLeavesAFileThatCanBeAppendedTo() {
        Journal journal = fresh("one");
        disk.failWith(Errno.ENOSPC);
        assertThatThrownBy(() -> journal.rewrite(List.of("new")))
                .isInstanceOf(StoreException.class);
        disk.failWith(null);

        assertThat(journal.mustRewrite()).isFalse();
        journal.append("two", true);

        assertThat(readBack().texts()).containsExactly("one", "two");
        assertThat(readBack().damage()).isEmpty();
    }

    @Test
    void whatWasBegunAndNotFinishedLeavesNothingThatTakesUpRoom() {
        Journal journal = fresh("one");
        disk.failLate(true);
        assertThatThrownBy(() -> journal.rewrite(List.of("new")))
                .isInstanceOf(StoreException.class);

        assertThat(journal.mustRewrite()).as("it may be the old or the new").isTrue();
        assertThat(disk.names()).containsExactly(NAME);
    }

    @Test
    void aJournalIsNeverLargerThanItMayBe() {
        Journal journal = Journal.open(files, NAME, 300);
        journal.read();
        journal.rewrite(List.of("one"));
        String wide = "x".repeat(200);
        journal.append(wide, true);
        String before = disk.text(NAME);

        assertThatThrownBy(() -> journal.append(wide, true))
                .isInstanceOfSatisfying(StoreException.class, e -> assertThat(e.isFull()).isTrue())
                .hasMessageContaining("300 bytes");
        assertThatThrownBy(() -> journal.rewrite(List.of(wide, wide)))
                .isInstanceOfSatisfying(
                        StoreException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EFBIG));

        assertThat(disk.text(NAME)).isEqualTo(before);
        journal.append("two", true);
        assertThat(Journal.open(files, NAME, 300).read().texts())
                .containsExactly("one", wide, "two");
    }

    @Test
    void whatWasDurableIsThereAfterEveryCrashAndNothingIsMadeUp() {
        Seeded.run(
                300,
                random -> {
                    CrashingFiles.Disk fragile = new CrashingFiles.Disk(random.split());
                    CrashPlan plan = new CrashPlan();
                    List<String> tried = new ArrayList<>();
                    int durable = 0;
                    plan.crashAfter(random.nextInt(60));
                    try {
                        Journal journal = Journal.open(new CrashingFiles(fragile, plan), NAME);
                        journal.read();
                        journal.rewrite(List.of());
                        for (int i = 0; i < 12; i++) {
                            boolean sync = random.nextInt(3) == 0;
                            tried.add("line" + i);
                            journal.append("line" + i, sync);
                            durable = sync ? tried.size() : durable;
                            if (random.nextInt(8) == 0) {
                                journal.rewrite(tried);
                                durable = tried.size();
                            }
                        }
                    } catch (CrashPlan.SimulatedCrash e) {
                        // The next process reads.
                    }
                    boolean powerLost = random.nextBoolean();
                    if (powerLost) {
                        fragile.loseWhatIsNotDurable();
                    }

                    Journal.Content content =
                            Journal.open(new CrashingFiles(fragile, new CrashPlan()), NAME).read();

                    assertThat(content.texts().size()).isBetween(durable, tried.size());
                    assertThat(tried.subList(0, content.texts().size())).isEqualTo(content.texts());
                    if (!powerLost) {
                        assertThat(content.damage()).isEmpty();
                    }
                });
    }
}
