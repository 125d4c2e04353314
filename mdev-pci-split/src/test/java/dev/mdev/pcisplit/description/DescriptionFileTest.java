package dev.mdev.pcisplit.description;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.page.Prot;
import dev.mdev.pcisplit.description.Description.FixedArea;
import dev.mdev.pcisplit.description.Description.Ids;
import dev.mdev.pcisplit.description.Description.InterruptSource;
import dev.mdev.pcisplit.description.Description.PassedPage;
import dev.mdev.pcisplit.description.Description.Pool;
import dev.mdev.pcisplit.description.Description.Register;
import dev.mdev.pcisplit.description.Description.RegisterPlace;
import dev.mdev.pcisplit.description.Description.RegisterWrite;
import dev.mdev.pcisplit.description.Description.SharedArea;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

class DescriptionFileTest {
    private @TempDir Path folder;

    @Test
    void everyFieldIsRead() {
        Description card = Descriptions.parse(Descriptions.CARD);
        assertThat(card.address()).isEqualTo("0000:65:00.0");
        assertThat(card.name()).isEqualTo("card0");
        assertThat(card.expected()).contains(new Ids(0x10de, 0x2330));
        assertThat(card.stub()).isEmpty();
        assertThat(card.isForced()).isFalse();
        assertThat(card.pools())
                .containsExactly(
                        new Pool("vram", 1, 1 << 20, 12 << 20, true, true),
                        new Pool("doorbells", 0, 0x10000, 0x8000, false, false));
        Description.DeviceType small = card.types().getFirst();
        assertThat(small.demands())
                .containsExactly(
                        new MdevType.Demand("vram", 256, 16, false),
                        new MdevType.Demand("doorbells", 1, 1, false));
        assertThat(small.bars().getFirst().areas())
                .containsExactly(new SharedArea(0, 1 << 20, "vram", false, 16, Prot.READ_WRITE));
        assertThat(small.bars().get(1).areas())
                .containsExactly(
                        new SharedArea(0, 4096, "doorbells", false, 0, Prot.READ_WRITE),
                        new FixedArea(4096, 4096, Map.of(0, 0x11223344, 0x10, 7)),
                        new PassedPage(
                                8192,
                                4096,
                                0,
                                0x1000,
                                List.of(
                                        new Register(
                                                0x10, 4, 0xffff_ffffL, 0xff, OptionalLong.of(0)),
                                        new Register(
                                                0x14, 4, 0xffff_0000L, 0, OptionalLong.empty()),
                                        new Register(
                                                0x20, 2, 0xffff, 0xffff, OptionalLong.of(5)))));
        assertThat(small.reset().writes()).containsExactly(new RegisterWrite(0, 0x2040, 4, 1));
        assertThat(small.interrupts())
                .containsExactly(
                        new InterruptSource(
                                new RegisterPlace(0, 0x3000, 4), 3, Optional.empty(), 1000));
        assertThat(card.types().get(1).bars().getFirst().sizeBytes()).isEqualTo(4 << 20);
    }

    @Test
    void whatIsNotGivenHasADefault() {
        Description card =
                Descriptions.parse(
                        Descriptions.CARD
                                .replace("name: card0\n", "stub: pci-stub\nforce: true\n")
                                .replace("description: A card for tests\n", "")
                                .replace("expect: {vendor: 0x10de, device: 0x2330}\n", ""));
        assertThat(card.name()).isEqualTo("0000:65:00.0");
        assertThat(card.text()).isEqualTo("PCI function 0000:65:00.0");
        assertThat(card.expected()).isEmpty();
        assertThat(card.stub()).isEqualTo(Optional.of("pci-stub"));
        assertThat(card.isForced()).isTrue();
    }

    @Test
    void theDescriptionThatTheDocumentWorksThroughIsOne() throws IOException {
        String document = Files.readString(Path.of("..", "docs", "drivers.md"));
        int from = document.indexOf("```yaml\n") + "```yaml\n".length();
        Description card =
                Descriptions.parse(document.substring(from, document.indexOf("```", from)));

        assertThat(card.stub()).contains("pci-stub");
        assertThat(card.pools())
                .containsExactly(
                        new Pool("vram", 1, 256 << 20, 15L << 30, true, true),
                        new Pool("doorbells", 0, 2 << 20, 256 << 10, false, false));
        Description.DeviceType type = card.types().getFirst();
        assertThat(type.bars())
                .extracting(Description.GuestBar::sizeBytes)
                .containsExactly(16L << 10, 1L << 30);
        assertThat(type.passedPages())
                .singleElement()
                .satisfies(page -> assertThat(page.registers()).hasSize(2));
    }

    /// Replaces a part of the good description, and expects that the error names the mistake.
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            textBlock =
                    """
                    "0000:65:00.0"            | "65:00.0"                  | line 1: function is not of the form
                    function: "0000:65:00.0"  | colour: red                | function is missing
                    name: card0               | colour: red                | line 2: colour is not a field of this format
                    name: card0               | name: "a b"                | line 2: name is not of the form
                    name: card0               | force: maybe               | line 2: force is not of the form
                    name: card0               | name: [a]                  | line 2: name is not of the form
                    name: card0               | function: x                | line 2: function is given twice
                    device: 0x2330}           | device: 0x12330}           | expect.device is not a number from 0 to 0xffff
                    offset: 1MiB              | offset: 100                | pools.vram.offset is not a multiple of the page size
                    offset: 1MiB              | offset: -1                 | pools.vram.offset is not a number
                    bar: 1                    | bar: 6                     | pools.vram.bar is not a number from 0 to 5
                    bar: 1, offset: 1MiB      | bar: 0, offset: 0          | pools vram and doorbells overlap in BAR 0
                    size: 12MiB               | size: 12MB                 | pools.vram.size is not a number
                    size: 12MiB,              | colour: red,               | pools.vram.size is missing
                    size: 12MiB               | size: 0                    | pools.vram.size is not a number
                    content: registers        | content: doorbells         | pools.doorbells.content is not of the form
                    vram: {bar                | VRAM!: {bar                | pools.VRAM! is not the name of a pool
                    pools:                    | holes:                     | holes is not a field of this format
                    size: 1MiB, step: 64KiB   | size: 1MiB, step: 12KiB    | types.small.demands.vram.step is no power of two
                    vram: {size: 1MiB         | ram: {size: 1MiB           | type small demands pool ram, which is not described
                    vram: {size: 1MiB, step   | vram: {size: 16MiB, step   | type small demands more of pool vram than it has
                    class: 0x038000           | klass: 1                   | types.small.identity.klass is not a field of this format
                    class: 0x038000           | class: 0x1038000           | types.small.identity.class is not a number
                    size: 2MiB                | size: 3MiB                 | type small BAR 0 has a size that is no power of two
                    size: 2MiB                | size: 512KiB               | type small BAR 0: an area lies outside the BAR
                    {pool: vram, ahead: 16}   | {pool: vram, ahead: 1000}  | ahead is not a number from 0 to 0x200
                    {pool: vram, ahead: 16}   | {pool: ram}                | type small BAR 0 shows pool ram, which the type does not demand
                    {pool: vram, ahead: 16}   | {pool: vram, values: {}}   | needs exactly one of: pool, values, registers
                    {pool: vram, ahead: 16}   | {pool: vram, map: eager, ahead: 2} | ahead is for lazy areas
                    {pool: vram, ahead: 16}   | {pool: doorbells}          | type small shows pool doorbells twice
                    - {pool: doorbells}       | - {at: 4KiB, pool: doorbells} | the areas overlap at 0x1000
                    - {pool: doorbells}       | - {values: {2: 5}}         | is not an offset in the area that is a multiple of 4
                    - {pool: doorbells}       | - {values: {4096: 5}}      | is not an offset in the area that is a multiple of 4
                    {0x0: 0x11223344, 0x10: 7} | {0x0: 1, 0: 2}            | values.0 is given twice
                    - {pool: doorbells}       | - {values: {0: 5}}         | type small demands pool doorbells, and shows it in no BAR
                    offset: 0x1000}           | offset: 0x10000}           | which are in pool doorbells: a guest would reach the pages of others
                    {offset: 0x10, write      | {offset: 0x11, write       | allow[0].offset is not a multiple of the register's width
                    {offset: 0x14, read: 0xffff0000} | {offset: 0x12, width: 2} | the registers overlap at 0x12
                    width: 2                  | width: 8                   | width is not of the form
                    write: 0xff,              | write: 0x1ffffffff,        | write is not a number
                    write: 0xff, reset: 0}    | write: 0xff}               | allow[0].reset is missing
                    write: 0xff, reset: 0}    | write: 0xff, reset: maybe} | allow[0].reset is not a number
                    offset: 0x2040            | offset: 0x1010             | by which type small is reset: that would give a guest the whole device
                    - {status: {bar: 0        | - {status: {bar: 7         | interrupts[0].status.bar is not a number from 0 to 5
                    status: {bar: 0, offset: 0x3000}, bits: 0x3 | bits: 1 | types.small.interrupts[0].status.offset is missing
                    offset: 0x3000}           | offset: 0x3002}            | types.small.interrupts[0].status.offset is not a multiple
                    offset: 0x3000}           | offset: 0x10000}           | type small has an interrupt by 0x10000 of BAR 0, which is in pool doorbells
                    bits: 0x3                 | bits: 0                    | types.small.interrupts[0].bits is not a number
                    bits: 0x3                 | colour: red                | types.small.interrupts[0].colour is not a field of this format
                    bits: 0x3                 | every-micros: 10           | types.small.interrupts[0].every-micros is not a number
                    bits: 0x3                 | clear: {bar: 0, offset: 0x3004} | type small clears an interrupt, which its other devices would miss
                    offset: 0x2040            | offset: 0x10040            | stores at its reset to 0x10040 of BAR 0, which is in pool doorbells
                    """)
    void aMistakeIsNamed(String part, String replacement, String mistake) {
        assertThat(Descriptions.CARD).contains(part);
        String bad = Descriptions.CARD.replace(part, replacement);
        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(() -> Descriptions.parse(bad))
                .satisfies(e -> assertThat(e.errno()).isEqualTo(Errno.EINVAL))
                .withMessageStartingWith("card.yaml: ")
                .withMessageContaining(mistake);
    }

    @Test
    void allMistakesAreNamedAtOnce() {
        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(() ->
                        Descriptions.parse(
                                Descriptions.CARD
                                        .replace("bar: 1", "bar: 9")
                                        .replace("ahead: 16", "ahed: 16")
                                        .replace("width: 2", "width: 3")))
                .withMessageContaining("line 6: pools.vram.bar")
                .withMessageContaining("line 20: types.small.bars.0.areas[0].ahed")
                .withMessageContaining("line 33: types.small.bars.2.areas[2].allow[2].width");
    }

    @Test
    void aPageWhoseRegistersTakeEveryStoreIsTheWholeDevice() {
        StringBuilder all = new StringBuilder("                  allow:\n");
        for (int offset = 0; offset < 4096; offset += 4) {
            all.append("                          - {offset: ")
                    .append(offset)
                    .append(", write: 0xffffffff, reset: keep}\n");
        }
        String text = Descriptions.CARD;
        int from = text.indexOf("allow:");
        int to = text.indexOf("    reset:");
        String open = text.substring(0, from) + all.toString().strip() + "\n" + text.substring(to);
        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(() -> Descriptions.parse(open))
                .withMessageContaining("that would give a guest the whole device");
    }

    @Test
    void onlyATypeWithOneDeviceResetsTheWholeFunction() {
        String text = Descriptions.CARD;
        String both = text.replace("    reset:\n", "    reset:\n      function: true\n");
        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(() -> Descriptions.parse(both))
                .withMessageContaining(
                        "type small resets the whole function, and so all its devices");
        String one =
                both.substring(0, both.indexOf("  large:"))
                        .replace("name: A small part", "most: 1");
        assertThat(Descriptions.parse(one).types().getFirst().reset().isOfFunction()).isTrue();
    }

    @Test
    void twoBarsOfOneNumberAreNamed() {
        String twice = Descriptions.CARD.replace("      2:\n", "      0x0:\n");
        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(() -> Descriptions.parse(twice))
                .withMessageContaining("type small: ")
                .withMessageContaining("two regions of one index");
    }

    @Test
    void aBarThatIsTooLargeBesideItsNeighbourIsNamed() {
        String large = "      0: {areas: [{pool: vram, map: eager}]}\n";
        String wide = large.replace("{areas", "{size: 4GiB, areas");
        assertThat(Descriptions.parse(Descriptions.CARD.replace(large, wide)).types()).hasSize(2);
        String narrow = wide + "      1: {areas: [{values: {0: 1}}]}\n";
        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(() -> Descriptions.parse(Descriptions.CARD.replace(large, narrow)))
                .withMessageContaining("type large: ")
                .withMessageContaining("too large for an address of 32 bits");
    }

    @Test
    void aTypeHasNoMoreInterruptsThanMessagesCanBe() {
        String one = "      - {status: {bar: 0, offset: 0x3000}, bits: 0x3}\n";
        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(
                        () -> Descriptions.parse(Descriptions.CARD.replace(one, one.repeat(33))))
                .withMessageContaining("type small has more than 32 interrupts");
    }

    @Test
    void whatIsNoYamlIsNamed() {
        for (String bad :
                List.of(
                        "",
                        "- a\n- b\n",
                        "just words",
                        "a: {b: [\n",
                        "a: 1\n b: 2\n",
                        "a: *nowhere\n",
                        "\0",
                        "{".repeat(5000),
                        "a: &a [*a]\n",
                        "? {x: y}\n: z\n",
                        "--- a: 1\n--- b: 2\n")) {
            assertThatExceptionOfType(MdevException.class)
                    .as(bad)
                    .isThrownBy(() -> Descriptions.parse(bad))
                    .satisfies(e -> assertThat(e.errno()).isEqualTo(Errno.EINVAL))
                    .withMessageStartingWith("card.yaml: ");
        }
    }

    @Test
    void bytesThatAreNoTextAreRefused() {
        byte[] content = "name: card\u00ff".getBytes(StandardCharsets.ISO_8859_1);
        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(() -> DescriptionFile.parse("card.yaml", content))
                .withMessageContaining("no YAML");
    }

    @Test
    void onlyRegularFilesOfABoundedSizeAreRead() throws IOException {
        Path large = folder.resolve("large.yaml");
        Files.write(large, new byte[DescriptionFile.MAX_BYTES + 1]);
        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(() -> DescriptionFile.read(large))
                .withMessageContaining("more than");
        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(() -> DescriptionFile.read(folder))
                .withMessageContaining("not a regular file");
    }
}
