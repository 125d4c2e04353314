package dev.mdev.core.ledger;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Attribute;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.store.CrashPlan;
import dev.mdev.core.store.CrashingFiles;

import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.SplittableRandom;
import java.util.UUID;

class DefinitionStoreTest {
    private static final UUID ONE = UUID.fromString("11111111-2222-3333-4444-555555555555");
    private static final UUID TWO = UUID.fromString("aaaaaaaa-2222-3333-4444-555555555555");

    private static final int MOST = 100;

    private final CrashingFiles.Disk disk = new CrashingFiles.Disk(new SplittableRandom(3));
    private final CrashPlan plan = new CrashPlan();

    private DefinitionStore open() {
        return DefinitionStore.load(new CrashingFiles(disk, plan), MOST);
    }

    private static MdevDefinition definition(UUID uuid) {
        return new MdevDefinition(uuid, "0000:00:02.0", "gpu-256m", true);
    }

    private static void assertFails(ThrowingCallable call, Errno errno) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(errno));
    }

    @Test
    void aDefinitionIsThereAfterARestartAndGoneAfterItsRemoval() {
        DefinitionStore store = open();
        store.put(definition(TWO));
        store.put(definition(ONE));
        store.put(definition(ONE).withAutostart(false));

        assertThat(open().all())
                .containsExactlyInAnyOrder(definition(ONE).withAutostart(false), definition(TWO));
        store.remove(ONE);
        assertThat(open().find(ONE)).isEmpty();
        assertThat(open().find(TWO)).hasValue(definition(TWO));
    }

    @Test
    void theFileIsTwoReadableLines() {
        open().put(definition(ONE));

        assertThat(disk.text(ONE + ".mdev"))
                .matches(
                        "mdev-definition version=1 uuid=%s parent=0000:00:02.0 type=gpu-256m start=auto\ncrc32c value=[0-9a-f]{8}\n"
                                .formatted(ONE));
    }

    @Test
    void everyChangedBitQuarantinesTheFileAndOnlyIt() {
        open().put(definition(ONE));
        open().put(definition(TWO));
        String file = ONE + ".mdev";
        byte[] whole = disk.text(file).getBytes(StandardCharsets.ISO_8859_1);
        for (int bit = 0; bit < whole.length * 8; bit++) {
            byte[] flipped = whole.clone();
            flipped[bit / 8] ^= (byte) (1 << (bit % 8));
            disk.put(file, flipped);

            DefinitionStore store = open();

            assertThat(store.all()).as("bit %d", bit).containsExactly(definition(TWO));
            assertThat(store.quarantined())
                    .extracting(QuarantinedDefinition::file)
                    .containsExactly(file);
            // As bytes: a failure's message must not hold control characters.
            assertThat(disk.text(file).getBytes(StandardCharsets.ISO_8859_1)).isEqualTo(flipped);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "\n", "x", "mdev-definition version=1\n", "{\"mdev_type\":1}"})
    void aFileThatIsNoDefinitionIsQuarantinedAndNamed(String content) {
        disk.put(ONE + ".mdev", content.getBytes(StandardCharsets.US_ASCII));

        assertThat(open().quarantined())
                .singleElement()
                .satisfies(broken -> {
                    assertThat(broken.file()).isEqualTo(ONE + ".mdev");
                    assertThat(broken.reason()).isNotBlank();
                });
    }

    @Test
    void aDefinitionUnderAnothersNameIsQuarantined() {
        open().put(definition(ONE));
        byte[] content = disk.text(ONE + ".mdev").getBytes(StandardCharsets.US_ASCII);
        disk.put(TWO + ".mdev", content);
        disk.put("anything.mdev", content);

        DefinitionStore store = open();

        assertThat(store.all()).containsExactly(definition(ONE));
        assertThat(store.quarantined())
                .extracting(QuarantinedDefinition::file)
                .containsExactly(TWO + ".mdev", "anything.mdev");
    }

    @Test
    void aQuarantinedFileIsNotOverwrittenUntilItIsDiscarded() {
        disk.put(ONE + ".mdev", new byte[] {1});
        DefinitionStore store = open();

        assertFails(() -> store.put(definition(ONE)), Errno.EEXIST);
        assertFails(() -> store.discard("none.mdev"), Errno.ENOENT);
        store.discard(ONE + ".mdev");
        store.put(definition(ONE));

        assertThat(open().all()).containsExactly(definition(ONE));
    }

    @Test
    void aCrashAnywhereInAChangeLeavesTheOldOrTheNew() {
        MdevDefinition changed = definition(ONE).withAutostart(false);
        for (int step = 0; ; step++) {
            CrashingFiles.Disk crashing = new CrashingFiles.Disk(new SplittableRandom(step));
            DefinitionStore.load(new CrashingFiles(crashing, new CrashPlan()), MOST)
                    .put(definition(ONE));
            CrashPlan dying = new CrashPlan();
            DefinitionStore store = DefinitionStore.load(new CrashingFiles(crashing, dying), MOST);
            dying.crashAfter(step);
            try {
                store.put(changed);
            } catch (CrashPlan.SimulatedCrash e) {
                // The next process reads.
            }
            crashing.loseWhatIsNotDurable();

            DefinitionStore next =
                    DefinitionStore.load(new CrashingFiles(crashing, new CrashPlan()), MOST);

            assertThat(next.quarantined()).isEmpty();
            assertThat(next.all()).containsAnyOf(definition(ONE), changed).hasSize(1);
            assertThat(crashing.names()).as("nothing is left behind").hasSize(1);
            if (!dying.hasCrashed()) {
                assertThat(next.all()).containsExactly(changed);
                assertThat(step).as("places to crash").isGreaterThan(3);
                return;
            }
        }
    }

    @Test
    void aChangeThatFailsIsNotSeenNowNorAfterARestart() {
        DefinitionStore store = open();
        store.put(definition(ONE));
        disk.failWith(Errno.ENOSPC);

        assertFails(() -> store.put(definition(ONE).withAutostart(false)), Errno.ENOSPC);
        assertFails(() -> store.put(definition(TWO)), Errno.ENOSPC);
        assertFails(() -> store.remove(ONE), Errno.ENOSPC);

        disk.failWith(null);
        assertThat(store.all()).containsExactly(definition(ONE));
        assertThat(open().all()).containsExactly(definition(ONE));
    }

    @Test
    void aDefinitionOfWhichNobodyWasToldGoesWhenTheDiskWorksAgain() {
        DefinitionStore store = open();
        disk.failLate(true);
        assertFails(() -> store.put(definition(ONE)), Errno.EIO);
        assertThat(store.find(ONE)).isEmpty();
        disk.failLate(false);
        assertThat(disk.names()).as("deleted, though that was reported to fail").isEmpty();

        store.put(definition(ONE));
        disk.failLate(true);
        assertFails(() -> store.remove(ONE), Errno.EIO);
        disk.failLate(false);
        assertThat(store.find(ONE)).isPresent();
        assertThat(open().find(ONE)).isPresent();
        store.remove(ONE);
        assertThat(disk.names()).isEmpty();
    }

    @Test
    void thereAreNoMoreDefinitionsThanThereMayBeAndNoneThatIsThereIsLost() {
        DefinitionStore store = DefinitionStore.load(new CrashingFiles(disk, plan), 2);
        store.put(definition(ONE));
        store.put(definition(TWO));
        MdevDefinition third = definition(new UUID(0, 3));

        assertFails(() -> store.put(third), Errno.EUSERS);

        assertThat(open().all()).doesNotContain(third);
        store.put(definition(ONE).withAutostart(false));
        DefinitionStore smaller = DefinitionStore.load(new CrashingFiles(disk, plan), 1);
        assertThat(smaller.all()).hasSize(2);
        smaller.remove(TWO);
        assertFails(() -> smaller.put(third), Errno.EUSERS);
        smaller.remove(ONE);
        smaller.put(third);
    }

    @Test
    void aFileThatIsTooLargeIsQuarantined() {
        disk.put(ONE + ".mdev", new byte[1 << 20]);

        assertThat(open().quarantined()).extracting(QuarantinedDefinition::file).hasSize(1);
    }

    @Test
    void aDefinitionWithTheMostAndLongestAttributesIsThereAfterARestart() {
        Attribute longest = new Attribute("n".repeat(128), "\u20ac".repeat(1024));
        MdevDefinition largest =
                new MdevDefinition(
                        ONE,
                        "p".repeat(64),
                        "t".repeat(64),
                        false,
                        Collections.nCopies(MdevDefinition.MAX_ATTRIBUTES, longest));
        open().put(largest);

        DefinitionStore store = open();

        assertThat(store.quarantined()).isEmpty();
        assertThat(store.all()).containsExactly(largest);
    }

    @Test
    void whatAWriteLeftBehindAndCannotBeDeletedNowKeepsNothingFromBeingRead() {
        open().put(definition(ONE));
        disk.put(TWO + ".mdev.tmp", new byte[10]);
        disk.failToDelete(true);

        DefinitionStore store = open();

        assertThat(store.all()).containsExactly(definition(ONE));
        assertThat(store.quarantined())
                .singleElement()
                .satisfies(left -> assertThat(left.reason()).contains("leftover of a write"));
        disk.failToDelete(false);
        assertThat(open().quarantined()).isEmpty();
        assertThat(disk.names()).containsExactly(ONE + ".mdev");
    }

    @Test
    void namesThatAreNoneAreRefused() {
        for (String parent : new String[] {"", "a b", "a/b", "x".repeat(65)}) {
            assertFails(() -> new MdevDefinition(ONE, parent, "t", true), Errno.EINVAL);
        }
        for (String type : new String[] {"", "a:b", "ä"}) {
            assertFails(() -> new MdevDefinition(ONE, "p", type, true), Errno.EINVAL);
        }
    }

    @Test
    void uuidsAreReadAsTheKernelReadsThem() {
        assertThat(Uuids.parse("AAAAAAAA-2222-3333-4444-555555555555")).isEqualTo(TWO);
        for (String text :
                new String[] {
                    "1-1-1-1-1",
                    "",
                    "aaaaaaaa-2222-3333-4444-55555555555",
                    "aaaaaaaa-2222-3333-4444-5555555555555",
                    "aaaaaaaa22223333-4444-555555555555ab",
                    "gaaaaaaa-2222-3333-4444-555555555555"
                }) {
            assertFails(() -> Uuids.parse(text), Errno.EINVAL);
        }
    }
}
