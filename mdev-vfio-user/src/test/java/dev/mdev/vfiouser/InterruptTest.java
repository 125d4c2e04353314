package dev.mdev.vfiouser;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.core.sys.EventFd;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.nio.ByteBuffer;

/// The interrupts of a device at a client's event counters.
class InterruptTest extends ServerTest {
    private static final int INTX = 0;
    private static final int MSI = 1;
    private static final int MSIX = 2;
    private static final int ERR = 3;
    private static final int REQ = 4;
    private static final int BIND = 0x24;
    private static final int FIRE = 0x21;
    private static final int MASK = 0x09;
    private static final int UNMASK = 0x11;
    private static final int UNMASK_EVENT = 0x14;

    @ParameterizedTest
    @CsvSource({"0, 7, 1", "1, 1, 4", "2, 1, 8", "3, 9, 1", "4, 9, 1"})
    void eachKindSaysWhatItCan(int index, int flags, int count) {
        ByteBuffer info = client.irqInfo(index).buffer();

        assertThat(info.remaining()).isEqualTo(16);
        assertThat(info.getInt(0)).isEqualTo(16);
        assertThat(info.getInt(4)).as("flags").isEqualTo(flags);
        assertThat(info.getInt(8)).isEqualTo(index);
        assertThat(info.getInt(12)).as("vectors").isEqualTo(count);
    }

    @Test
    void thereIsNoOtherKind() {
        assertFails(client.irqInfo(5), Errno.EINVAL);
        assertFails(client.irqInfo(-1), Errno.EINVAL);
        assertFails(client.ask(7, body().u32(15, 0, 0, 0).done()), Errno.EINVAL);
    }

    @Test
    void messagesArriveAtTheirCounters() {
        EventFd first = event();
        EventFd third = event();
        assertDone(client.setIrqs(BIND, MSIX, 0, 1));
        assertDone(client.setIrqs(BIND, MSIX, 0, 1, first.fd()));
        assertDone(client.setIrqs(BIND, MSIX, 1, 1));
        assertDone(client.setIrqs(BIND, MSIX, 2, 1, third.fd()));

        for (int vector = 0; vector < 8; vector++) {
            host.device().context.interrupts().trigger(vector);
        }

        assertThat(first.take()).isEqualTo(1);
        assertThat(third.take()).isEqualTo(1);
    }

    @Test
    void aCounterIsReplacedAndUnbound() {
        EventFd old = event();
        EventFd next = event();
        assertDone(client.setIrqs(BIND, MSI, 0, 2, old.fd(), old.fd()));
        assertDone(client.setIrqs(BIND, MSI, 1, 1, next.fd()));
        host.device().context.interrupts().trigger(1);
        assertThat(old.take()).isZero();
        assertThat(next.take()).isEqualTo(1);

        assertDone(client.setIrqs(BIND, MSI, 1, 1));
        host.device().context.interrupts().trigger(1);
        host.device().context.interrupts().trigger(0);
        assertThat(next.take()).isZero();
        assertThat(old.take()).as("the kind stays enabled").isEqualTo(1);

        assertDone(client.setIrqs(FIRE, MSI, 0, 0));
        host.device().context.interrupts().trigger(0);
        assertThat(old.take()).isZero();
        assertDone(client.setIrqs(FIRE, MSI, 0, 0));
    }

    @Test
    void theClientFiresForItself() {
        EventFd first = event();
        EventFd second = event();
        assertDone(client.setIrqs(BIND, MSIX, 0, 2, first.fd(), second.fd()));

        assertDone(client.setIrqs(FIRE, MSIX, 0, 2));
        assertDone(
                client.ask(8, body().u32(22, 0x22, MSIX, 0, 2).bytes((byte) 0, (byte) 1).done()));

        assertThat(first.take()).isEqualTo(1);
        assertThat(second.take()).isEqualTo(2);
        assertFails(client.ask(8, body().u32(20, 0x22, MSIX, 0, 2).done()), Errno.EINVAL);
    }

    @Test
    void theLineIsSignalledOnceUntilItIsUnmasked() {
        EventFd line = event();
        assertDone(client.setIrqs(BIND, INTX, 0, 1, line.fd()));
        host.device().context.interrupts().setLine(true);
        host.device().context.interrupts().setLine(true);
        assertThat(line.take()).isEqualTo(1);

        assertDone(client.setIrqs(UNMASK, INTX, 0, 1));
        assertThat(line.take()).as("still asserted").isEqualTo(1);
        assertDone(client.setIrqs(MASK, INTX, 0, 1));
        host.device().context.interrupts().setLine(false);
        assertDone(client.setIrqs(UNMASK, INTX, 0, 1));
        assertThat(line.take()).isZero();
    }

    @Test
    void theLineIsUnmaskedByACounter() {
        EventFd line = event();
        EventFd unmask = event();
        assertDone(client.setIrqs(BIND, INTX, 0, 1, line.fd()));
        assertDone(client.setIrqs(UNMASK_EVENT, INTX, 0, 1, unmask.fd()));
        host.device().context.interrupts().setLine(true);
        assertThat(line.take()).isEqualTo(1);

        unmask.signal();
        long count = 0;
        // The server waits for both; a request shows that it had the turn to look.
        while (count == 0) {
            assertThat(client.readNumber(CONFIG, 0, 2)).isEqualTo(0x1234);
            count = line.take();
        }

        assertThat(count).isEqualTo(1);
        assertDone(client.setIrqs(UNMASK_EVENT, INTX, 0, 1));
        assertDone(client.setIrqs(FIRE, INTX, 0, 0));
    }

    @Test
    void oneKindIsInUseAtATime() {
        EventFd line = event();
        assertDone(client.setIrqs(BIND, INTX, 0, 1, line.fd()));
        assertFails(client.setIrqs(BIND, MSI, 0, 1, line.fd()), Errno.EINVAL);
        assertDone(client.setIrqs(FIRE, INTX, 0, 0));
        assertDone(client.setIrqs(BIND, MSI, 0, 1, line.fd()));
    }

    @Test
    void errorsAndRequestsAreBoundAndUnboundWithoutADescriptor() {
        EventFd event = event();
        assertDone(client.setIrqs(BIND, ERR, 0, 1, event.fd()));
        assertDone(client.setIrqs(BIND, ERR, 0, 1));
        assertDone(client.setIrqs(BIND, REQ, 0, 1, event.fd()));
        assertDone(client.setIrqs(FIRE, REQ, 0, 1));
        assertThat(event.take()).isEqualTo(1);
        assertFails(client.setIrqs(MASK, REQ, 0, 1), Errno.EINVAL);
        assertFails(client.setIrqs(BIND, REQ, 0, 2), Errno.EINVAL);
    }

    @Test
    void theEndOfTheOfferIsAnnouncedToAListeningClient() {
        EventFd event = event();
        assertDone(client.setIrqs(BIND, REQ, 0, 1, event.fd()));
        client.close();
        client = host.client();
        assertDone(client.setIrqs(BIND, REQ, 0, 1, event.fd()));

        host.mdev.requestRelease();

        assertThat(event.take()).isEqualTo(1);
    }

    @ParameterizedTest
    @CsvSource({
        "0x24, 5, 0, 1", "0x24, -1, 0, 1", "0x24, 2, 8, 1", "0x24, 2, 7, 2", "0x24, 2, -1, 1",
        "0x24, 2, 0, -1", "0x25, 2, 0, 1", "0x27, 2, 0, 1", "0x20, 2, 0, 1", "0x04, 2, 0, 1",
        "0x3c, 2, 0, 1", "0x64, 2, 0, 1", "0x24, 2, 0, 0", "0x0c, 0, 0, 1", "0x09, 2, 0, 1",
        "0x09, 0, 0, 1", "0x21, 2, 0, 1", "0x09, 3, 0, 1", "0x24, 3, 0, 2", "0x21, 3, 0, 2",
        "0x21, 4, 0, 2", "0x18, 2, 0, 0", "0x0b, 2, 0, 0", "0x09, 2, 1, 0", "0x09, 2, 0, 0",
        "0x22, 2, 0, 0", "0x21, 5, 0, 0",
    })
    void aRequestThatIsNoneChangesNothing(String flags, int index, int start, int count) {
        assertFails(client.setIrqs(Integer.decode(flags), index, start, count), Errno.EINVAL);
        assertDone(client.setIrqs(BIND, MSIX, 0, 8));
    }

    @Test
    void descriptorsMustBeCountersAndMatchTheirNumber() {
        EventFd event = event();
        assertFails(client.setIrqs(BIND, MSIX, 0, 2, event.fd()), Errno.EINVAL);
        assertFails(client.setIrqs(FIRE, MSIX, 0, 1, event.fd()), Errno.EINVAL);
        assertFails(client.setIrqs(MASK, INTX, 0, 1, event.fd()), Errno.EINVAL);
        try (NativeFd file = Syscalls.ofThisProcess().memfd("file", 4096)) {
            assertFails(client.setIrqs(BIND, MSIX, 0, 1, file), Errno.EINVAL);
        }
        assertFails(client.ask(8, body().u32(20, BIND, MSIX, 0).done()), Errno.EINVAL);
        byte[] bools = body().u32(21, 0x22, MSIX, 0, 1).bytes((byte) 1).done();
        assertFails(client.ask(8, bools, event.fd()), Errno.EINVAL);
    }

    @Test
    void aRequestThatIsCutShortIsRefused() {
        assertFails(client.ask(8, body().u32(0, 0).done()), Errno.EINVAL);
        assertDone(client.setIrqs(FIRE, REQ, 0, 0));
    }

    @Test
    void aFullCounterOfAClientLosesInterruptsAndHoldsNobody() {
        EventFd event = event();
        assertDone(client.setIrqs(BIND, MSIX, 0, 1, event.fd()));
        fill(event);

        host.device().context.interrupts().trigger(0);

        assertThat(event.take()).isEqualTo(FULL);
    }
}
