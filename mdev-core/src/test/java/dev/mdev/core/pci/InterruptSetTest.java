package dev.mdev.core.pci;

import static dev.mdev.core.pci.IrqRequest.ACTION_MASK;
import static dev.mdev.core.pci.IrqRequest.ACTION_TRIGGER;
import static dev.mdev.core.pci.IrqRequest.ACTION_UNMASK;
import static dev.mdev.core.pci.IrqRequest.DATA_BOOL;
import static dev.mdev.core.pci.IrqRequest.DATA_EVENTFD;
import static dev.mdev.core.pci.IrqRequest.DATA_NONE;
import static dev.mdev.core.pci.IrqRequest.ERROR;
import static dev.mdev.core.pci.IrqRequest.INTX;
import static dev.mdev.core.pci.IrqRequest.MSI;
import static dev.mdev.core.pci.IrqRequest.MSIX;
import static dev.mdev.core.pci.IrqRequest.REQUEST;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.Interrupts;
import dev.mdev.api.IrqInfo;
import dev.mdev.api.MdevException;

import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

class InterruptSetTest {
    private final InterruptSet set = new InterruptSet(new IrqInfo(true, 4, 8), false);
    private final List<String> signals = new ArrayList<>();

    @Test
    void eachKindSaysWhatItCanDo() {
        assertThat(set.support(INTX)).isEqualTo(new IrqSupport(1 | 2 | 4, 1));
        assertThat(set.support(MSI)).isEqualTo(new IrqSupport(1, 4));
        assertThat(set.support(MSIX)).isEqualTo(new IrqSupport(1, 8));
        assertThat(set.support(REQUEST)).isEqualTo(new IrqSupport(1 | 8, 1));
        assertErrno(Errno.EINVAL, () -> set.support(ERROR));
        assertErrno(Errno.EINVAL, () -> set.support(5));
        assertErrno(Errno.EINVAL, () -> set.support(-1));
        assertThat(new InterruptSet(IrqInfo.NONE, true).support(ERROR).count()).isOne();
        assertThat(new InterruptSet(IrqInfo.NONE, true).support(INTX).count()).isZero();
    }

    @Test
    void theDriverHearsWhichKindIsUsed() {
        assertThat(enabledKinds()).isEmpty();
        set.setIrqs(IrqRequest.bind(INTX, 1, () -> {}));
        assertThat(enabledKinds()).containsExactly(Interrupts.Kind.LINE);
        set.setLineDisabled(true);
        assertThat(enabledKinds()).isEmpty();
        set.setIrqs(IrqRequest.disable(INTX));
        set.setIrqs(IrqRequest.bind(MSIX, 8, () -> {}));
        assertThat(enabledKinds()).containsExactly(Interrupts.Kind.MSIX);
        set.setIrqs(IrqRequest.disable(MSIX));
        set.setIrqs(IrqRequest.bind(MSI, 4, () -> {}));
        assertThat(enabledKinds()).containsExactly(Interrupts.Kind.MSI);
    }

    private List<Interrupts.Kind> enabledKinds() {
        return Arrays.stream(Interrupts.Kind.values()).filter(set::isEnabled).toList();
    }

    @Test
    void malformedRequestsAreInvalidWhateverElseTheyAre() {
        int fire = DATA_NONE | ACTION_TRIGGER;
        assertErrno(Errno.EINVAL, request(19, fire, MSIX, 0, 1));
        assertErrno(Errno.EINVAL, request(20, fire, 5, 0, 1));
        assertErrno(Errno.EINVAL, request(20, fire, -1, 0, 1));
        assertErrno(Errno.EINVAL, request(20, fire | 64, MSIX, 0, 1));
        assertErrno(Errno.EINVAL, request(20, fire, MSIX, 1, 0xffff_fffeL));
        assertErrno(Errno.EINVAL, request(20, fire, MSIX, 8, 0));
        assertErrno(Errno.EINVAL, request(20, fire, MSIX, 0, 9));
        assertErrno(Errno.EINVAL, request(20, fire, ERROR, 0, 0));
        assertErrno(Errno.EINVAL, request(20, ACTION_TRIGGER, MSIX, 0, 1));
        assertErrno(Errno.EINVAL, request(20, DATA_NONE | DATA_BOOL | ACTION_TRIGGER, MSIX, 0, 1));
        assertErrno(Errno.EINVAL, request(22, DATA_BOOL | ACTION_TRIGGER, MSIX, 0, 3));
        assertErrno(Errno.EINVAL, request(27, DATA_EVENTFD | ACTION_TRIGGER, MSIX, 0, 2));
        // The checks that all kinds share come before the question whether the kind has the action.
        assertErrno(Errno.EINVAL, request(20, DATA_NONE | ACTION_MASK, MSIX, 8, 1));
    }

    @Test
    void anActionThatAKindDoesNotHaveIsNoIoctl() {
        for (int index : new int[] {MSI, MSIX, REQUEST}) {
            assertErrno(Errno.ENOTTY, request(20, DATA_NONE | ACTION_MASK, index, 0, 1));
            assertErrno(Errno.ENOTTY, request(20, DATA_NONE | ACTION_UNMASK, index, 0, 1));
            assertErrno(Errno.ENOTTY, request(20, DATA_NONE, index, 0, 1));
        }
        assertErrno(Errno.ENOTTY, request(20, DATA_NONE, INTX, 0, 1));
        assertErrno(Errno.ENOTTY, request(20, DATA_NONE | ACTION_MASK | ACTION_UNMASK, INTX, 0, 1));
        bind(INTX, 0, "line");
        assertErrno(
                Errno.ENOTTY,
                () ->
                        set.setIrqs(
                                new IrqRequest(
                                        24,
                                        DATA_EVENTFD | ACTION_MASK,
                                        INTX,
                                        0,
                                        1,
                                        List.of(),
                                        List.of(Optional.of(() -> {})))));
    }

    @Test
    void onlyOneKindIsActiveAtATime() {
        bind(MSIX, 0, "x0");

        assertErrno(Errno.EINVAL, () -> bind(MSI, 0, "m0"));
        assertErrno(Errno.EINVAL, () -> bind(INTX, 0, "line"));
        set.setIrqs(IrqRequest.disable(MSIX));
        bind(MSI, 0, "m0");
        set.trigger(0);
        assertThat(signals).containsExactly("m0");
    }

    @Test
    void whatIsNotActiveIsNeitherDisabledNorFiredNorMasked() {
        for (int index : new int[] {INTX, MSI, MSIX}) {
            assertErrno(Errno.EINVAL, () -> set.setIrqs(IrqRequest.disable(index)));
            assertErrno(
                    Errno.EINVAL,
                    () -> set.setIrqs(IrqRequest.withoutData(ACTION_TRIGGER, index, 1)));
        }
        assertErrno(Errno.EINVAL, () -> set.setIrqs(IrqRequest.withoutData(ACTION_MASK, INTX, 1)));
        assertErrno(Errno.ERANGE, () -> set.setIrqs(IrqRequest.bind(MSIX, 0, List.of())));
    }

    @Test
    void vectorsSignalTheirSinksAndOnlyBoundOnesDo() {
        bind(MSIX, 0, "x0");
        set.setIrqs(
                IrqRequest.bind(
                        MSIX,
                        3,
                        List.of(
                                Optional.of(sink("x3")),
                                Optional.empty(),
                                Optional.of(sink("x5")))));

        for (int vector = 0; vector < 8; vector++) {
            set.trigger(vector);
        }
        assertThat(signals).containsExactly("x0", "x3", "x5");
        bind(MSIX, 3, "new");
        set.setIrqs(IrqRequest.bind(MSIX, 5, List.of(Optional.empty())));
        set.trigger(3);
        set.trigger(5);
        assertThat(signals).containsExactly("x0", "x3", "x5", "new");
        assertThatThrownBy(() -> set.trigger(8)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> set.trigger(-1)).isInstanceOf(IndexOutOfBoundsException.class);
    }

    @Test
    void theOwnerFiresVectorsItself() {
        set.setIrqs(IrqRequest.bind(MSI, 4, sink("m")));

        set.setIrqs(IrqRequest.withoutData(ACTION_TRIGGER, MSI, 3));
        assertThat(signals).hasSize(3);
        set.setIrqs(
                new IrqRequest(
                        23,
                        DATA_BOOL | ACTION_TRIGGER,
                        MSI,
                        1,
                        3,
                        List.of(true, false, true),
                        List.of()));
        assertThat(signals).hasSize(5);
    }

    @Test
    void theLineSignalsOnceUntilItIsUnmaskedAndAgainIfItIsStillAsserted() {
        bind(INTX, 0, "line");

        set.setLine(true);
        set.setLine(true);
        set.setLine(false);
        set.setLine(true);
        assertThat(signals).hasSize(1);
        unmask();
        assertThat(signals).hasSize(2);
        set.setLine(false);
        unmask();
        assertThat(signals).hasSize(2);
        set.setLine(true);
        assertThat(signals).hasSize(3);
    }

    @Test
    void aMaskedLineSignalsWhenItIsUnmasked() {
        bind(INTX, 0, "line");
        set.setIrqs(IrqRequest.withoutData(ACTION_MASK, INTX, 1));

        set.setLine(true);
        assertThat(signals).isEmpty();
        set.setIrqs(
                new IrqRequest(
                        21, DATA_BOOL | ACTION_UNMASK, INTX, 0, 1, List.of(false), List.of()));
        assertThat(signals).isEmpty();
        unmask();
        assertThat(signals).hasSize(1);
    }

    @Test
    void aLineThatIsAssertedWhenItIsBoundSignalsAtOnce() {
        set.setLine(true);
        bind(INTX, 0, "line");
        assertThat(signals).hasSize(1);
    }

    @Test
    void theGuestsDisableBitMasksTheLineAndClearingItUnmasks() {
        bind(INTX, 0, "line");
        set.setLineDisabled(true);
        set.setLine(true);
        unmask();
        set.setIrqs(IrqRequest.withoutData(ACTION_TRIGGER, INTX, 1));
        assertThat(signals).isEmpty();

        set.setLineDisabled(false);
        assertThat(signals).hasSize(1);
    }

    @Test
    void resetReleasesTheLineAndKeepsWhatIsBound() {
        bind(INTX, 0, "line");
        set.setLine(true);

        set.reset();

        assertThat(set.isLineAsserted()).isFalse();
        set.setLine(true);
        assertThat(signals).hasSize(2);
    }

    @Test
    void theRequestInterruptIsIndependentOfTheOthers() {
        bind(MSIX, 0, "x0");
        assertErrno(
                Errno.EINVAL,
                () -> set.setIrqs(IrqRequest.withoutData(ACTION_TRIGGER, REQUEST, 1)));
        bind(REQUEST, 0, "request");

        set.requestRelease();
        set.setIrqs(IrqRequest.withoutData(ACTION_TRIGGER, REQUEST, 1));
        assertThat(signals).containsExactly("request", "request");
        set.setIrqs(IrqRequest.disable(REQUEST));
        set.requestRelease();
        assertThat(signals).hasSize(2);
        assertErrno(Errno.EINVAL, () -> set.setIrqs(IrqRequest.disable(REQUEST)));
        // A VMM that releases a device also removes absent entries.
        set.setIrqs(IrqRequest.bind(REQUEST, 0, List.of(Optional.empty())));
    }

    @Test
    void aRefusedRequestChangesNothing() {
        bind(MSIX, 0, "x0");

        assertErrno(Errno.EINVAL, () -> set.setIrqs(IrqRequest.bind(MSIX, 7, List.of(no(), no()))));
        set.trigger(0);
        assertThat(signals).containsExactly("x0");
    }

    private static Optional<InterruptSink> no() {
        return Optional.empty();
    }

    private InterruptSink sink(String name) {
        return () -> signals.add(name);
    }

    private void bind(int index, int start, String name) {
        set.setIrqs(IrqRequest.bind(index, start, List.of(Optional.of(sink(name)))));
    }

    private void unmask() {
        set.setIrqs(IrqRequest.withoutData(ACTION_UNMASK, INTX, 1));
    }

    private Runnable request(long argsz, int flags, int index, long start, long count) {
        return () ->
                set.setIrqs(
                        new IrqRequest(argsz, flags, index, start, count, List.of(), List.of()));
    }

    private static void assertErrno(Errno errno, Runnable call) {
        assertThatThrownBy(call::run)
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(errno));
    }
}
