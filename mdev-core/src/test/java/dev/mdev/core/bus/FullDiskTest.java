package dev.mdev.core.bus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.ledger.Owner;
import dev.mdev.core.ledger.Unfinished;
import dev.mdev.core.ledger.Verb;
import dev.mdev.core.store.StoreException;

import org.junit.jupiter.api.Test;

import java.util.UUID;

/// A bus that opens on a disk that refuses writes: it shows what exists, changes nothing, and
/// continues when the disk accepts writes again.
class FullDiskTest {
    private static final UUID ONE = UUID.fromString("f0000000-0000-4000-8000-000000000001");
    private static final UUID TWO = UUID.fromString("f0000000-0000-4000-8000-000000000002");

    private static final String TYPE = "small";

    private final Card card = new Card("gpu0", 64, false).with(TYPE, 4, 1, true);

    private static MdevDefinition definition(UUID uuid) {
        return new MdevDefinition(uuid, "gpu0", TYPE, true);
    }

    @Test
    void aBusOpensOnAFullDiskAndGoesOnWhenThereIsRoom() {
        try (BusWorld world = new BusWorld(card).plug()) {
            world.bus.define(definition(ONE));
            String journal = world.disk.text("journal");
            world.disk.failWith(Errno.ENOSPC);

            world.restart().plug();

            assertThat(world.facts(MdevEvent.JournalTrouble.class)).isNotEmpty();
            assertThat(world.bus.journalFailure()).isPresent();
            assertThat(world.bus.definitions()).containsExactly(definition(ONE));
            assertThat(world.facts(MdevEvent.StartFailed.class))
                    .singleElement()
                    .satisfies(failed -> assertThat(failed.reason()).contains("ENOSPC"));
            assertThatThrownBy(() -> world.bus.create(TWO, "gpu0", TYPE))
                    .isInstanceOfSatisfying(
                            StoreException.class, e -> assertThat(e.isFull()).isTrue());
            assertThatThrownBy(() -> world.bus.undefine(ONE)).isInstanceOf(StoreException.class);
            assertThat(world.disk.text("journal")).isEqualTo(journal);
            world.disk.failWith(null);

            world.bus.start(ONE);

            assertThat(world.bus.journalFailure()).isEmpty();
            world.bus.create(TWO, "gpu0", TYPE);
            world.check();
        }
    }

    @Test
    void pagesThatWereDirtyWhenTheDiskWasFullAreStillDirtyInTheNextLife() {
        try (BusWorld world = new BusWorld(card).plug()) {
            Mdev mdev = world.bus.create(ONE, "gpu0", TYPE);
            var dirty = world.bus.context().ledger().dirty("gpu0");
            assertThat(dirty).isNotEmpty();
            assertThat(mdev.share()).isNotEmpty();
            world.disk.failWith(Errno.ENOSPC);
            world.restart();
            world.disk.failWith(null);

            world.restart();

            assertThat(world.bus.context().ledger().dirty("gpu0")).isEqualTo(dirty);
            world.plug().check();
        }
    }

    @Test
    void aDefinitionThatCannotBeDeletedNowIsDeletedInTheNextLife() {
        try (BusWorld world = new BusWorld(card).plug()) {
            Mdev mdev = world.bus.create(definition(ONE));
            world.bus.context().ledger().begin(Verb.REMOVE, BusContext.subject(mdev, Owner.OURS));
            world.disk.failToDelete(true);

            world.restart();

            assertThat(world.bus.unfinished()).extracting(Unfinished::verb).contains(Verb.REMOVE);
            assertThat(world.facts(MdevEvent.JournalTrouble.class))
                    .singleElement()
                    .satisfies(it -> assertThat(it.reason()).contains("not resolved yet", "EROFS"));
            world.disk.failToDelete(false);
            world.restart().plug();
            assertThat(world.bus.unfinished()).isEmpty();
            assertThat(world.bus.status(ONE)).isEmpty();
            world.check();
        }
    }
}
