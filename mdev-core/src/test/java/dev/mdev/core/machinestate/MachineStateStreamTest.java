package dev.mdev.core.machinestate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.memslot.SmmDesign;

import org.junit.jupiter.api.Test;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.stream.IntStream;

/// Streams that a stranger wrote: with correct checksums, and values that make no sense.
class MachineStateStreamTest {
    private static final long RAM_BYTES = 64 * Page.SIZE;
    private static final SaveReport REPORT = new SaveReport(3, 4, 5, 6);
    private static final List<ProgramPosition> POSITIONS =
            List.of(ProgramPosition.IDLE, new ProgramPosition(true, 2, 77));

    private static MachineStateHeader header(int devices) {
        return new MachineStateHeader(
                "vm1",
                "software",
                52,
                RAM_BYTES,
                2,
                SmmDesign.NONE,
                IntStream.range(0, devices)
                        .mapToObj(i ->
                                new MachineStateHeader.Device(
                                        new UUID(1, i),
                                        "driver",
                                        "type",
                                        i + 1,
                                        Map.of(0, 1L << 40, 6, 1L << 31)))
                        .toList());
    }

    @FunctionalInterface
    private interface Sections {
        void write(MachineStateWriter writer) throws IOException;
    }

    private static MachineStateHeader headerWithSmm() {
        return new MachineStateHeader(
                "vm1", "software", 52, RAM_BYTES, 2, SmmDesign.SLOT_FLAG, List.of());
    }

    private static MachineStateSection.Smm modes(int bridgeBytes, SmmPosition... positions) {
        return new MachineStateSection.Smm(new byte[bridgeBytes], List.of(positions));
    }

    private static byte[] stream(MachineStateHeader header, Sections sections) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        sections.write(MachineStateWriter.begin(out, header));
        return out.toByteArray();
    }

    private static void device(MachineStateWriter writer, int index, int bytes) throws IOException {
        try (OutputStream parts = writer.device(index)) {
            parts.write(new byte[bytes]);
        }
        writer.function(index, new byte[] {1, 2, 3});
    }

    private static List<MachineStateSection> readAll(byte[] stream) throws IOException {
        MachineStateReader reader = new MachineStateReader(new ByteArrayInputStream(stream));
        var _ = reader.header();
        List<MachineStateSection> all = new ArrayList<>();
        do {
            all.add(reader.next());
        } while (!(all.getLast() instanceof MachineStateSection.End));
        return all;
    }

    private static void assertMalformed(MachineStateHeader header, Sections sections)
            throws IOException {
        byte[] stream =
                stream(
                        header,
                        writer -> {
                            sections.write(writer);
                            writer.end(REPORT);
                        });
        assertThatThrownBy(() -> readAll(stream))
                .isInstanceOfSatisfying(
                        MdevException.class,
                        e -> assertThat(e.errno()).as("%s", e).isEqualTo(Errno.EPROTO));
    }

    @Test
    void whatIsWrittenIsRead() throws IOException {
        byte[] stream =
                stream(
                        header(2),
                        writer -> {
                            writer.pages(3, new byte[2 * Page.SIZE], 0, 2 * Page.SIZE);
                            writer.zeroes(3, 1);
                            device(writer, 0, 200_000);
                            device(writer, 1, 1);
                            writer.processors(POSITIONS);
                            writer.end(REPORT);
                        });
        MachineStateReader reader = new MachineStateReader(new ByteArrayInputStream(stream));
        assertThat(reader.header()).isEqualTo(header(2));
        assertThat(reader.next())
                .isInstanceOfSatisfying(
                        MachineStateSection.Pages.class,
                        pages -> {
                            assertThat(pages.firstPage()).isEqualTo(3);
                            assertThat(pages.content()).hasSize(2 * Page.SIZE);
                        });
        assertThat(reader.next()).isEqualTo(new MachineStateSection.Zeroes(3, 1));
        try (InputStream parts = reader.deviceStream()) {
            assertThat(parts.readAllBytes()).hasSize(200_000);
        }
        assertThat(reader.next()).isInstanceOf(MachineStateSection.Function.class);
        try (InputStream parts = reader.deviceStream()) {
            assertThat(parts.readAllBytes()).hasSize(1);
            assertThat(parts.read()).isNegative();
        }
        assertThat(reader.next())
                .isInstanceOfSatisfying(
                        MachineStateSection.Function.class,
                        function -> assertThat(function.index()).isEqualTo(1));
        assertThat(reader.next()).isEqualTo(new MachineStateSection.Processors(POSITIONS));
        assertThat(reader.next()).isEqualTo(new MachineStateSection.End(REPORT));
    }

    @Test
    void whatASpoolHoldsFollowsInTheStream() throws IOException {
        byte[] stream;
        try (MachineStateSpool spool = new MachineStateSpool(1 << 10)) {
            MachineStateWriter aside = spool.writer();
            aside.zeroes(1, 2);
            aside.processors(POSITIONS);
            stream =
                    stream(
                            header(0),
                            writer -> {
                                writer.all(spool);
                                writer.end(REPORT);
                            });
        }
        assertThat(readAll(stream))
                .containsExactly(
                        new MachineStateSection.Zeroes(1, 2),
                        new MachineStateSection.Processors(POSITIONS),
                        new MachineStateSection.End(REPORT));
    }

    @Test
    void aSpoolTakesNoMoreThanItsLimitAndKeepsWhatItHas() throws IOException {
        int section = 5 + 16;
        try (MachineStateSpool spool = new MachineStateSpool(2L * section)) {
            MachineStateWriter aside = spool.writer();
            aside.zeroes(1, 2);
            aside.zeroes(4, 2);
            assertThatThrownBy(() -> aside.zeroes(8, 2))
                    .isInstanceOfSatisfying(
                            MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EFBIG));
            byte[] stream =
                    stream(
                            header(0),
                            writer -> {
                                writer.all(spool);
                                writer.processors(POSITIONS);
                                writer.end(REPORT);
                            });
            assertThat(readAll(stream))
                    .containsExactly(
                            new MachineStateSection.Zeroes(1, 2),
                            new MachineStateSection.Zeroes(4, 2),
                            new MachineStateSection.Processors(POSITIONS),
                            new MachineStateSection.End(REPORT));
        }
    }

    @Test
    void pagesOutsideOfRamAreRefused() throws IOException {
        byte[] page = new byte[Page.SIZE];
        assertMalformed(header(0), writer -> writer.pages(64, page, 0, Page.SIZE));
        assertMalformed(header(0), writer -> writer.pages(-1, page, 0, Page.SIZE));
        assertMalformed(header(0), writer -> writer.pages(0, page, 0, Page.SIZE - 1));
        assertMalformed(header(0), writer -> writer.pages(0, page, 0, 0));
        assertMalformed(header(0), writer -> writer.zeroes(63, 2));
        assertMalformed(header(0), writer -> writer.zeroes(0, 0));
        assertMalformed(header(0), writer -> writer.zeroes(1, Long.MAX_VALUE));
        assertMalformed(header(0), writer -> writer.zeroes(Long.MAX_VALUE, 1));
    }

    @Test
    void sectionsInAnotherOrderAreRefused() throws IOException {
        assertMalformed(header(0), _ -> {});
        assertMalformed(
                header(0),
                writer -> {
                    writer.processors(POSITIONS);
                    writer.processors(POSITIONS);
                });
        assertMalformed(header(1), writer -> writer.processors(POSITIONS));
        assertMalformed(header(0), writer -> device(writer, 0, 1));
        assertMalformed(header(2), writer -> device(writer, 1, 1));
        assertMalformed(header(1), writer -> writer.function(0, new byte[1]));
        assertMalformed(
                header(1),
                writer -> {
                    device(writer, 0, 1);
                    writer.zeroes(0, 1);
                });
        assertMalformed(header(0), writer -> writer.processors(List.of(ProgramPosition.IDLE)));
        assertMalformed(
                header(0),
                writer ->
                        writer.processors(
                                List.of(ProgramPosition.IDLE, new ProgramPosition(true, -1, 0))));
    }

    @Test
    void modesAreReadAsWrittenAndOnlyOfAMachineThatHasThem() throws IOException {
        SmmPosition inside = new SmmPosition(true, false, 0xffff_ffffL);
        SmmPosition waiting = new SmmPosition(false, true, 0xa0000);
        List<MachineStateSection> sections =
                readAll(
                        stream(
                                headerWithSmm(),
                                writer -> {
                                    writer.smm(modes(15, inside, waiting));
                                    writer.processors(POSITIONS);
                                    writer.end(REPORT);
                                }));
        assertThat(sections.getFirst())
                .isInstanceOfSatisfying(
                        MachineStateSection.Smm.class,
                        smm -> {
                            assertThat(smm.bridge()).hasSize(15);
                            assertThat(smm.positions()).containsExactly(inside, waiting);
                        });

        assertMalformed(headerWithSmm(), writer -> writer.processors(POSITIONS));
        assertMalformed(headerWithSmm(), writer -> writer.smm(modes(15, inside)));
        assertMalformed(headerWithSmm(), writer -> writer.smm(modes(14, inside, waiting)));
        assertMalformed(header(0), writer -> writer.smm(modes(15, inside, waiting)));
        assertMalformed(header(1), writer -> writer.smm(modes(15, inside, waiting)));
    }

    @Test
    void headersOfImpossibleMachinesAreRefused() throws IOException {
        MachineStateHeader twice =
                new MachineStateHeader(
                        "vm1",
                        "software",
                        52,
                        RAM_BYTES,
                        2,
                        SmmDesign.NONE,
                        List.of(header(1).devices().getFirst(), header(1).devices().getFirst()));
        assertMalformed(twice, _ -> {});
        assertMalformed(header(32), _ -> {});
        for (long ramBytes : new long[] {-Page.SIZE, 1}) {
            assertMalformed(
                    new MachineStateHeader(
                            "vm1", "software", 52, ramBytes, 2, SmmDesign.NONE, List.of()),
                    _ -> {});
        }
        for (int vcpus : new int[] {0, 65}) {
            assertMalformed(
                    new MachineStateHeader(
                            "vm1", "software", 52, 0, vcpus, SmmDesign.NONE, List.of()),
                    _ -> {});
        }
    }

    @Test
    void aStreamThatGoesOnAfterItsEndIsRefused() throws IOException {
        assertMalformed(
                header(0),
                writer -> {
                    writer.processors(POSITIONS);
                    writer.end(REPORT);
                });
    }
}
