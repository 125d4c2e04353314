package dev.mdev.host.label;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.core.store.MemoryFiles;
import dev.mdev.host.access.Existing;
import dev.mdev.host.access.Subject;

import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.support.StaticListableBeanFactory;

import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/// The file of labels.
class LabelsStoreTest {
    private static final Subject VM = Subject.machine("vm1");

    private final MemoryFiles files = new MemoryFiles();
    private final Set<String> there = new HashSet<>(Set.of("vm1", "vm2"));

    private Labels open() {
        Existing machines =
                new Existing() {
                    @Override
                    public Subject.Kind kind() {
                        return Subject.Kind.MACHINE;
                    }

                    @Override
                    public boolean exists(String name) {
                        return there.contains(name);
                    }
                };
        StaticListableBeanFactory beans =
                new StaticListableBeanFactory(Map.of("machines", machines));
        return new Labels(files, beans.getBeanProvider(Existing.class));
    }

    @Test
    void whatIsWrittenIsThereAfterARestart() {
        Metadata metadata =
                Metadata.of(
                        "Red's \"first\" = 50 %", "naïve; a b\\c", Map.of("a/b", "", "env", "x"));
        open().set(VM, metadata);

        assertThat(open().of(VM)).isEqualTo(metadata);
    }

    @Test
    void whatHasEndedIsDroppedAtTheNextChange() {
        Labels labels = open();
        labels.set(Subject.machine("vm2"), Metadata.of("two", null, null));
        there.remove("vm2");
        labels.set(VM, Metadata.of("one", null, null));

        assertThat(open().of(Subject.machine("vm2"))).isEqualTo(Metadata.NONE);
        assertThat(open().of(VM).displayName()).isEqualTo("one");
    }

    @Test
    void aChangeThatFailsChangesNothing() {
        Labels labels = open();
        labels.set(VM, Metadata.of("one", null, null));
        assertThatThrownBy(() ->
                        labels.change(
                                VM,
                                _ -> {
                                    throw new IllegalStateException("no");
                                }))
                .isInstanceOf(IllegalStateException.class);

        assertThat(labels.of(VM).displayName()).isEqualTo("one");
        assertThat(open().of(VM).displayName()).isEqualTo("one");
    }
}
