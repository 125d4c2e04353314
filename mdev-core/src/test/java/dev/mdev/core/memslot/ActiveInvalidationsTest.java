package dev.mdev.core.memslot;

import static dev.mdev.core.memslot.SlotRequests.ram;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.support.Together;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.util.ArrayList;
import java.util.List;

@Timeout(value = 180, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class ActiveInvalidationsTest {
    private final AddressSpaces spaces = new AddressSpaces(SlotConfig.x86());

    /// Both ends of an invalidation look slots up, and must see the same ones.
    @Test
    void noSetOfSlotsIsPublishedWhileAnInvalidationIsUnderWay() throws Exception {
        MemslotSet before = spaces.active(0);
        spaces.invalidateBegin();
        spaces.invalidateBegin();
        Thread change =
                Thread.ofPlatform()
                        .daemon()
                        .start(() -> spaces.setUserMemoryRegion(ram(1, 0x10, 4)));
        Together.await(
                "the change waits or is made",
                () ->
                        change.getState() == Thread.State.WAITING
                                || change.getState() == Thread.State.TERMINATED);
        assertThat(spaces.active(0)).isSameAs(before);

        spaces.invalidateEnd();
        assertThat(spaces.active(0)).as("one is under way still").isSameAs(before);
        spaces.invalidateEnd();
        change.join(Together.LIMIT.toMillis());

        assertThat(spaces.slotOf(1)).isNotNull();
    }

    @Test
    void anInvalidationThatDidNotBeginDoesNotEnd() {
        assertThatThrownBy(spaces::invalidateEnd).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void whoPreparedAChangeThatAnotherRefusesTakesItBackLastFirst() {
        List<String> heard = new ArrayList<>();
        for (String name : List.of("a", "b", "c", "d")) {
            spaces.addListener(
                    new SlotListener() {
                        @Override
                        public void prepare(SlotChange change) {
                            if (name.equals("c")) {
                                throw new MdevException(Errno.ENOMEM, "refused by the test");
                            }
                            heard.add("prepare " + name);
                        }

                        @Override
                        public void flush(Memslot invalid) {}

                        @Override
                        public void commit(SlotChange change) {
                            heard.add("commit " + name);
                        }

                        @Override
                        public void abort(SlotChange change) {
                            heard.add("abort " + name);
                        }
                    });
        }

        assertThat(SlotRequests.errnoOf(spaces, ram(1, 0x10, 4))).isEqualTo(Errno.ENOMEM);

        assertThat(heard).containsExactly("prepare a", "prepare b", "abort b", "abort a");
    }
}
