package dev.mdev.core.devicestate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.support.Seeded;

import org.junit.jupiter.api.Test;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.zip.CRC32C;
import java.util.zip.CheckedOutputStream;

class StateStreamTest {
    private static final StateHeader HEADER =
            new StateHeader(
                    new UUID(1, 2),
                    "card",
                    "t4",
                    3,
                    List.of(
                            new StateHeader.Pool("vram", 1000),
                            new StateHeader.Pool("doorbell", 2)));

    private static byte[] page(int n) {
        byte[] page = new byte[Page.SIZE];
        Arrays.fill(page, (byte) n);
        return page;
    }

    private static byte[] sample() {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try {
            StateWriter writer = new StateWriter(out);
            writer.header(HEADER);
            writer.pages(0, 5, page(1), 0, Page.SIZE);
            writer.pages(1, 1, page(2), 0, Page.SIZE);
            writer.driver(new byte[] {1, 2, 3});
            writer.end();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
        return out.toByteArray();
    }

    private static List<StateSection> readAll(InputStream in) throws IOException {
        StateReader reader = new StateReader(in);
        assertThat(reader.header()).isNotNull();
        List<StateSection> sections = new ArrayList<>();
        do {
            sections.add(reader.next());
        } while (!(sections.getLast() instanceof StateSection.End));
        return sections;
    }

    private static Errno failure(byte[] stream) {
        try {
            readAll(new ByteArrayInputStream(stream));
        } catch (MdevException e) {
            return e.errno();
        } catch (IOException e) {
            throw new AssertionError("an exception that names no reason", e);
        }
        throw new AssertionError("accepted");
    }

    @Test
    void whatIsWrittenIsReadBackAndNothingBeyondIt() throws IOException {
        byte[] state = sample();
        byte[] more = Arrays.copyOf(state, state.length + 10);
        ByteArrayInputStream in = new ByteArrayInputStream(more);

        List<StateSection> sections = readAll(in);

        assertThat(in.available()).isEqualTo(10);
        assertThat(sections).hasSize(4);
        assertThat(sections.get(0))
                .isInstanceOfSatisfying(
                        StateSection.Pages.class,
                        pages -> {
                            assertThat(pages.pool()).isZero();
                            assertThat(pages.firstPage()).isEqualTo(5);
                            assertThat(pages.content()).isEqualTo(page(1));
                        });
        assertThat(sections.get(2))
                .isInstanceOfSatisfying(
                        StateSection.Driver.class,
                        driver -> assertThat(driver.content()).containsExactly(1, 2, 3));
        assertThat(new StateReader(new ByteArrayInputStream(state)).header()).isEqualTo(HEADER);
    }

    @Test
    void aStreamThatEndsTooEarlyIsTruncatedWhereverItEnds() {
        byte[] state = sample();
        for (int length = 0; length < state.length; length += length < 200 ? 1 : 97) {
            assertThat(failure(Arrays.copyOf(state, length)))
                    .as("length=%d", length)
                    .isEqualTo(Errno.EPROTO);
        }
        assertThat(failure(Arrays.copyOf(state, state.length - 1))).isEqualTo(Errno.EPROTO);
    }

    /// A header with a good checksum, and this in it.
    private static byte[] withHeader(byte[] payload) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        CRC32C crc = new CRC32C();
        DataOutputStream out = new DataOutputStream(new CheckedOutputStream(bytes, crc));
        out.write(StateFormat.MAGIC);
        out.writeShort(StateFormat.VERSION);
        out.writeByte(StateFormat.TAG_HEADER);
        out.writeInt(payload.length);
        out.write(payload);
        out.writeInt((int) crc.getValue());
        return bytes.toByteArray();
    }

    @Test
    void aHeaderThatIsWholeAndMakesNoSenseIsMalformedAndNotTruncated() throws IOException {
        byte[] noText = new byte[40];
        noText[17] = 2;
        noText[18] = (byte) 0xff;
        for (byte[] payload : List.of(new byte[17], noText)) {
            assertThatThrownBy(() ->
                            new StateReader(new ByteArrayInputStream(withHeader(payload))).header())
                    .isInstanceOfSatisfying(
                            MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EPROTO))
                    .hasMessageContaining("malformed")
                    .hasMessageContaining("header");
        }
    }

    @Test
    void everyChangedBitIsRefused() {
        byte[] state = sample();
        SplittableRandom random = new SplittableRandom();
        for (int bit = 0; bit < state.length * 8; bit += bit < 2000 ? 1 : random.nextInt(1, 200)) {
            byte[] flipped = state.clone();
            flipped[bit / 8] ^= (byte) (1 << (bit % 8));

            assertThat(failure(flipped))
                    .as("bit=%d", bit)
                    .isIn(Errno.EPROTO, Errno.EOPNOTSUPP, Errno.EFBIG);
        }
    }

    @Test
    void randomBytesAreRefused() {
        Seeded.run(
                300,
                random -> {
                    byte[] junk = new byte[random.nextInt(200)];
                    random.nextBytes(junk);
                    if (random.nextBoolean()) {
                        byte[] start = Arrays.copyOf(sample(), 10);
                        System.arraycopy(start, 0, junk, 0, Math.min(start.length, junk.length));
                    }
                    assertThat(failure(junk)).isIn(Errno.EPROTO, Errno.EOPNOTSUPP);
                });
    }

    /// Writes sections with correct checksums, whatever their content.
    private static final class Forger {
        private final ByteArrayOutputStream out = new ByteArrayOutputStream();

        Forger header() throws IOException {
            new StateWriter(out).header(HEADER);
            return this;
        }

        Forger section(int tag, byte[] payload) throws IOException {
            return section(tag, payload.length, payload);
        }

        Forger section(int tag, int length, byte[] payload) throws IOException {
            DataOutputStream data = new DataOutputStream(out);
            data.writeByte(tag);
            data.writeInt(length);
            data.write(payload);
            CRC32C crc = new CRC32C();
            crc.update(out.toByteArray());
            data.writeInt((int) crc.getValue());
            return this;
        }

        Forger pages(int pool, long first, int bytes) throws IOException {
            ByteArrayOutputStream payload = new ByteArrayOutputStream();
            DataOutputStream fields = new DataOutputStream(payload);
            fields.writeShort(pool);
            fields.writeLong(first);
            fields.write(new byte[bytes]);
            return section(StateFormat.TAG_PAGES, payload.toByteArray());
        }

        Forger end(long pages, long driverBytes) throws IOException {
            ByteArrayOutputStream payload = new ByteArrayOutputStream();
            DataOutputStream fields = new DataOutputStream(payload);
            fields.writeLong(pages);
            fields.writeLong(driverBytes);
            return section(StateFormat.TAG_END, payload.toByteArray());
        }

        byte[] bytes() {
            return out.toByteArray();
        }
    }

    @Test
    void theForgerCanForge() throws IOException {
        byte[] forged = new Forger().header().pages(0, 999, Page.SIZE).end(1, 0).bytes();

        assertThat(readAll(new ByteArrayInputStream(forged))).hasSize(2);
    }

    @Test
    void pagesOutsideTheDeviceOrOutOfOrderAreRefusedThoughTheirChecksAreRight() throws IOException {
        List<byte[]> bad =
                List.of(
                        new Forger().header().pages(0, 1000, Page.SIZE).bytes(),
                        new Forger().header().pages(0, 999, 2 * Page.SIZE).bytes(),
                        new Forger().header().pages(0, -1, Page.SIZE).bytes(),
                        new Forger().header().pages(0, Long.MAX_VALUE, Page.SIZE).bytes(),
                        new Forger().header().pages(0, Long.MIN_VALUE, Page.SIZE).bytes(),
                        new Forger().header().pages(2, 0, Page.SIZE).bytes(),
                        new Forger().header().pages(65535, 0, Page.SIZE).bytes(),
                        new Forger().header().pages(0, 0, 100).bytes(),
                        new Forger().header().pages(0, 0, 0).bytes(),
                        new Forger().header().pages(0, 5, Page.SIZE).pages(0, 5, Page.SIZE).bytes(),
                        new Forger().header().pages(1, 0, Page.SIZE).pages(0, 5, Page.SIZE).bytes(),
                        new Forger().header().section(3, new byte[1]).pages(0, 0, 4096).bytes(),
                        new Forger().header().section(4, new byte[8]).bytes(),
                        new Forger().header().end(1, 0).bytes(),
                        new Forger().header().end(0, 1).bytes(),
                        new Forger().header().section(1, new byte[30]).bytes(),
                        new Forger().header().section(9, new byte[1]).bytes(),
                        new Forger().header().section(0, new byte[1]).bytes());
        for (int i = 0; i < bad.size(); i++) {
            assertThat(failure(bad.get(i))).as("case %d", i).isEqualTo(Errno.EPROTO);
        }
    }

    @Test
    void aLengthThatIsNotTrueTakesNoMemory() throws IOException {
        for (int length : new int[] {Integer.MAX_VALUE, -1, 0, 2 << 20}) {
            byte[] forged = new Forger().header().section(2, length, new byte[8]).bytes();

            assertThat(failure(forged)).as("length=%d", length).isEqualTo(Errno.EPROTO);
        }
    }

    @Test
    void aDriversStateWithoutEndIsCutOff() throws IOException {
        Forger forger = new Forger().header();
        byte[] start = forger.bytes();
        InputStream endless = new EndlessDriver(start);

        StateReader reader = new StateReader(endless);
        assertThat(reader.header()).isEqualTo(HEADER);
        assertThatThrownBy(
                        () -> {
                            while (true) {
                                assertThat(reader.next()).isNotNull();
                            }
                        })
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EFBIG));
    }

    /// A stream of driver sections that does not end.
    private static final class EndlessDriver extends InputStream {
        private final CRC32C crc = new CRC32C();
        private byte[] part;
        private int at;

        EndlessDriver(byte[] start) {
            part = start;
            crc.update(start);
        }

        @Override
        public int read() {
            if (at == part.length) {
                part = nextPart();
                at = 0;
            }
            return part[at++] & 0xff;
        }

        @Override
        public int read(byte[] into, int offset, int length) {
            if (length == 0) {
                return 0;
            }
            // The first byte may begin a new part; then the rest of it.
            into[offset] = (byte) read();
            int more = Math.min(length - 1, part.length - at);
            System.arraycopy(part, at, into, offset + 1, more);
            at += more;
            return 1 + more;
        }

        private byte[] nextPart() {
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            try {
                DataOutputStream data = new DataOutputStream(out);
                data.writeByte(StateFormat.TAG_DRIVER);
                data.writeInt(StateFormat.MAX_DRIVER_PART_BYTES);
                data.write(new byte[StateFormat.MAX_DRIVER_PART_BYTES]);
                crc.update(out.toByteArray());
                byte[] check = new byte[4];
                ByteBuffer.wrap(check).putInt((int) crc.getValue());
                crc.update(check);
                out.write(check);
            } catch (IOException e) {
                throw new AssertionError(e);
            }
            return out.toByteArray();
        }
    }

    @Test
    void aHeaderThatMakesNoSenseIsRefused() throws IOException {
        byte[] good = sample();
        byte[] version = good.clone();
        version[9] = 2;
        assertThat(failure(version)).isEqualTo(Errno.EOPNOTSUPP);

        for (StateHeader header :
                List.of(
                        new StateHeader(new UUID(0, 0), "d", "t", 0, List.of()),
                        new StateHeader(
                                new UUID(0, 0), "d", "t", 1, List.of(new StateHeader.Pool("p", 0))),
                        new StateHeader(
                                new UUID(0, 0),
                                "d",
                                "t",
                                1,
                                List.of(
                                        new StateHeader.Pool("p", 1),
                                        new StateHeader.Pool("p", 1))))) {
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            new StateWriter(out).header(header);
            assertThat(failure(out.toByteArray())).as("%s", header).isEqualTo(Errno.EPROTO);
        }
    }
}
