package dev.mdev.core.topology;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.addr.HvaRange;

import org.junit.jupiter.api.Test;

import java.util.function.Consumer;

class TopologyTest {
    private final Topology topology = new Topology();
    private final Recorder recorder = new Recorder();
    private final MemoryRegion root = MemoryRegion.wholeSpace(topology, "root");
    private final MemoryRegion ram =
            MemoryRegion.ram(topology, "ram", HvaRange.ofPages(0x10000, 8));
    private final MemoryRegion bar = MemoryRegion.mmio(topology, "bar", 0x1000);
    private final TopologySpace space = topology.attach("memory", root, recorder);

    private Errno refusal(Consumer<TopologyEdit> edits) {
        return catchThrowableOfType(MdevException.class, () -> topology.edit(edits)).errno();
    }

    @Test
    void aListenerReceivesEachNewViewOnce() {
        topology.edit(edit -> edit.add(root, ram, 0, 0));
        recorder.heard.clear();

        topology.edit(edit -> {
            edit.add(root, bar, 0x2000, 1);
            edit.add(root, MemoryRegion.mmio(topology, "uart", 8), 0x20000, 0);
        });
        FlatView shown = space.view();
        assertThat(shown.ranges())
                .extracting(FlatRange::toString)
                .containsExactly(
                        "[0x0, 0x1fff] ram+0x0",
                        "[0x2000, 0x2fff] bar+0x0",
                        "[0x3000, 0x7fff] ram+0x3000",
                        "[0x20000, 0x20007] uart+0x0");
        topology.edit(edit -> edit.setEnabled(bar, false));

        assertThat(recorder.heard).containsExactly(shown, space.view());
    }

    @Test
    void aChangeOfLoggingIsAChangeOfTheView() {
        topology.edit(edit -> edit.add(root, ram, 0, 0));
        recorder.heard.clear();

        topology.edit(edit -> edit.setLog(ram, DirtyClient.DISPLAY, true));
        topology.edit(edit -> {
            edit.setLog(ram, DirtyClient.DISPLAY, false);
            edit.setGlobalLog(DirtyClient.MIGRATION, true);
        });
        assertThat(recorder.heard)
                .extracting(view -> view.ranges().getFirst().toString())
                .containsExactly(
                        "[0x0, 0x7fff] ram+0x0 [DISPLAY]", "[0x0, 0x7fff] ram+0x0 [MIGRATION]");
    }

    @Test
    void globalLoggingDoesNotTouchDevices() {
        topology.edit(edit -> edit.add(root, bar, 0, 0));
        recorder.heard.clear();
        topology.edit(edit -> edit.setGlobalLog(DirtyClient.MIGRATION, true));
        assertThat(recorder.heard).isEmpty();
    }

    @Test
    void aChangeThatShowsNothingTellsNothing() {
        topology.edit(edit -> {
            edit.add(root, ram, 0, 0);
            edit.add(root, bar, 0x1000, -1);
        });
        recorder.heard.clear();
        topology.edit(edit -> edit.setEnabled(bar, false));
        topology.edit(edit -> {
            edit.setOffset(ram, 0x100000);
            edit.setOffset(ram, 0);
        });
        assertThat(recorder.heard).isEmpty();
    }

    @Test
    void editsThatThrowChangeNothing() {
        topology.edit(edit -> edit.add(root, ram, 0, 0));
        FlatView before = space.view();
        assertThatThrownBy(() ->
                        topology.edit(edit -> {
                            edit.setOffset(ram, 0x1000);
                            throw new IllegalStateException("device");
                        }))
                .hasMessage("device");
        assertThat(space.view()).isSameAs(before);
        assertThat(ram.state().placement()).isEqualTo(new RegionState.Placement(root, 0, 0));
    }

    @Test
    void nestedTransactionJoinsTheOuterAndFailsAlone() {
        recorder.heard.clear();
        topology.edit(outer -> {
            outer.add(root, ram, 0, 0);
            topology.edit(inner -> inner.add(root, bar, 0x4000, 1));
            assertThat(space.view().ranges()).isEmpty();
            assertThatThrownBy(() ->
                            topology.edit(inner -> {
                                inner.setEnabled(ram, false);
                                throw new IllegalStateException();
                            }))
                    .isInstanceOf(IllegalStateException.class);
        });
        assertThat(recorder.heard).hasSize(1);
        assertThat(space.view().ranges()).hasSize(3);
    }

    @Test
    void refusalOfOneListenerIsUndoneForAll() {
        Recorder second = new Recorder();
        TopologySpace other = topology.attach("other", MemoryRegion.alias("view", root), second);
        topology.edit(edit -> edit.add(root, ram, 0, 0));
        FlatView before = space.view();
        second.refuseNext();

        assertThat(refusal(edit -> edit.add(root, bar, 0, 1))).isEqualTo(Errno.ENOMEM);

        assertThat(space.view()).isSameAs(before);
        assertThat(other.view()).isEqualTo(before);
        assertThat(recorder.view()).isEqualTo(before);
        assertThat(second.view()).isEqualTo(before);
        assertThat(bar.state().placement()).isNull();
        topology.edit(edit -> edit.add(root, bar, 0, 1));
        assertThat(recorder.view()).isEqualTo(space.view());
    }

    @Test
    void attachTellsTheWholeViewAndDetachTakesItBack() {
        topology.edit(edit -> edit.add(root, ram, 0, 0));
        Recorder late = new Recorder();
        TopologySpace lateSpace = topology.attach("late", root, late);
        assertThat(late.heard).containsExactly(lateSpace.view());
        topology.detach(lateSpace);
        assertThat(late.view()).isEqualTo(FlatView.EMPTY);
        assertThatThrownBy(() -> topology.detach(lateSpace)).isInstanceOf(MdevException.class);
    }

    @Test
    void aPreviewShowsWhatAnEditWouldAndChangesNothing() {
        topology.edit(edit -> edit.add(root, ram, 0, 0));
        recorder.heard.clear();

        FlatView preview = topology.preview(space, edit -> edit.add(root, bar, 0x2000, 1));

        assertThat(preview.ranges()).hasSize(3);
        assertThat(space.view().ranges()).hasSize(1);
        assertThat(recorder.heard).isEmpty();
        topology.edit(edit -> edit.add(root, bar, 0x2000, 1));
        assertThat(space.view()).isEqualTo(preview);
    }

    @Test
    void malformedEditsAreRefused() {
        MemoryRegion container = MemoryRegion.container(topology, "container", 0x1000);
        MemoryRegion alias = MemoryRegion.alias("alias", root);
        MemoryRegion foreign = MemoryRegion.mmio(new Topology(), "foreign", 0x1000);
        topology.edit(edit -> edit.add(root, container, 0, 0));

        assertThat(refusal(edit -> edit.add(root, container, 0, 0))).isEqualTo(Errno.EBUSY);
        assertThat(refusal(edit -> edit.add(container, root, 0, 0))).isEqualTo(Errno.EDEADLK);
        assertThat(refusal(edit -> edit.add(container, container, 0, 0))).isEqualTo(Errno.EBUSY);
        assertThat(refusal(edit -> edit.add(container, alias, 0, 0))).isEqualTo(Errno.EDEADLK);
        assertThat(refusal(edit -> edit.add(alias, bar, 0, 0))).isEqualTo(Errno.EINVAL);
        assertThat(refusal(edit -> edit.add(root, foreign, 0, 0))).isEqualTo(Errno.EINVAL);
        assertThat(refusal(edit -> edit.remove(bar))).isEqualTo(Errno.ENOENT);
        assertThat(refusal(edit -> edit.setOffset(bar, 1))).isEqualTo(Errno.ENOENT);
        assertThat(refusal(edit -> edit.setRomMode(ram, true))).isEqualTo(Errno.EINVAL);
        assertThat(refusal(edit -> edit.setAliasOffset(ram, 0))).isEqualTo(Errno.EINVAL);
    }

    @Test
    void anEditIsOfNoUseAfterItsTransaction() {
        TopologyEdit[] kept = new TopologyEdit[1];
        topology.edit(edit -> kept[0] = edit);
        assertThatThrownBy(() -> kept[0].setEnabled(ram, false))
                .isInstanceOf(IllegalStateException.class);
    }

    @Test
    void aListenerMustNotStartATransaction() {
        MemoryRegion lone = MemoryRegion.wholeSpace(topology, "lone");
        topology.edit(edit -> edit.add(lone, bar, 0, 0));
        TopologyListener nosy = _ -> topology.edit(edit -> edit.setEnabled(bar, false));
        assertThatThrownBy(() -> topology.attach("nosy", lone, nosy))
                .isInstanceOf(IllegalStateException.class);
    }
}
