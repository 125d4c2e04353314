package dev.mdev.gate;

import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;

import dev.mdev.gate.sample.above.Left;
import dev.mdev.gate.sample.above.Lonely;
import dev.mdev.gate.sample.above.Right;
import dev.mdev.gate.sample.below.Below;

import org.junit.jupiter.api.Test;

/// The rules find violations.
final class GateTest {
    private static final JavaClasses SAMPLE =
            new ClassFileImporter()
                    .importClasses(
                            Left.class, Left.Inner.class, Right.class, Lonely.class, Below.class);

    @Test
    void aTableThatFitsHasNothingToReport() {
        PackageTable table =
                new PackageTable()
                        .row("gate.sample.above")
                        .row("gate.sample.below", "gate.sample.above");
        assertThat(table.withoutRow(SAMPLE)).isEmpty();
        assertThat(table.forbidden(SAMPLE)).isEmpty();
        assertThat(table.unused(SAMPLE)).isEmpty();
        assertThat(table.upsideDown()).isEmpty();
    }

    @Test
    void aUseThatTheTableDoesNotAllowIsFound() {
        PackageTable table = new PackageTable().row("gate.sample.above").row("gate.sample.below");
        assertThat(table.forbidden(SAMPLE)).isNotEmpty().allMatch(use -> use.contains("Below"));
    }

    @Test
    void anEntryWithoutAUseAndARowWithoutAPackageAreFound() {
        PackageTable table =
                new PackageTable()
                        .row("gate.sample.gone")
                        .row("gate.sample.above", "gate.sample.gone")
                        .row("gate.sample.below", "gate.sample.above");
        assertThat(table.unused(SAMPLE))
                .containsExactly("gate.sample.above -> gate.sample.gone", "gate.sample.gone");
    }

    @Test
    void aPackageWithoutARowAndATableUpsideDownAreFound() {
        PackageTable table = new PackageTable().row("gate.sample.below", "gate.sample.below");
        assertThat(table.withoutRow(SAMPLE)).containsExactly("gate.sample.above");
        assertThat(table.upsideDown()).containsExactly("gate.sample.below -> gate.sample.below");
    }

    @Test
    void aCircleThroughANestedClassIsFoundAndALonelyClassIsNone() {
        assertThat(ClassCircles.of(SAMPLE)).hasSize(1);
        assertThat(ClassCircles.of(SAMPLE).getFirst())
                .containsExactly(Left.class.getName(), Right.class.getName());
    }
}
