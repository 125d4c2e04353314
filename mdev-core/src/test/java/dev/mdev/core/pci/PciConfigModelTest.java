package dev.mdev.core.pci;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.support.Seeded;

import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/// Random accesses of every width and alignment, compared with a table of the registers that was
/// written down from the specification.
class PciConfigModelTest {
    private static final int STEPS = 1500;

    /// A register: its place, initial value, and writable bits.
    private record Register(int offset, int width, long initial, long writable) {}

    private static final List<Register> REGISTERS =
            List.of(
                    new Register(0x00, 4, 0x11e9_1234L, 0),
                    new Register(0x04, 2, 0, 0x0546),
                    new Register(0x06, 2, 0x0010, 0),
                    new Register(0x08, 4, 0x0380_0002L, 0),
                    new Register(0x0c, 1, 0, 0xff),
                    new Register(0x10, 8, 0x0c, 0xffff_ffff_ffff_0000L),
                    new Register(0x18, 8, 0x04, 0xffff_ffff_ffff_ff00L),
                    new Register(0x20, 8, 0x04, 0xffff_ffff_ffff_f000L),
                    new Register(0x2c, 4, 0x1100_1af4L, 0),
                    new Register(0x30, 4, 0, 0xffff_f001L),
                    new Register(0x34, 1, 0x40, 0),
                    new Register(0x3c, 2, 0x0100, 0x00ff),
                    new Register(0x40, 8, 0x0003_4801L, 3L << 32),
                    new Register(0x48, 4, 0x0184_6005L, 0x0071_0000L),
                    new Register(0x4c, 8, 0, 0xffff_ffff_ffff_fffcL),
                    new Register(0x54, 2, 0, 0xffff),
                    new Register(0x58, 4, 0, 0xf),
                    new Register(0x60, 4, 0x0007_6c11L, 0xc000_0000L),
                    new Register(0x64, 8, 0x0000_0804_0000_0004L, 0),
                    new Register(0x6c, 4, 0x0306_7413L, 0),
                    new Register(0x74, 5, 0xad_de05_0009L, 0));

    @Test
    void everyReadIsWhatTheTableSays() {
        Seeded.run(
                20,
                random -> {
                    PciFixture pci = new PciFixture();
                    Model model = new Model();
                    for (int step = 0; step < STEPS; step++) {
                        step(random, pci, model);
                    }
                });
    }

    private static void step(SplittableRandom random, PciFixture pci, Model model) {
        int width = 1 << random.nextInt(4);
        int offset = random.nextInt(-10, 270);
        switch (random.nextInt(10)) {
            case 0 -> {
                int bits = random.nextInt(1 << 16) & 0xf900;
                pci.config.raiseStatus(bits);
                model.status |= bits;
            }
            case 1 -> {
                boolean asserted = random.nextBoolean();
                pci.function.set().setLine(asserted);
                model.line = asserted;
            }
            default -> {
                long value =
                        switch (random.nextInt(3)) {
                            case 0 -> -1;
                            case 1 -> 1L << random.nextInt(64);
                            default -> random.nextLong();
                        };
                PciConfigSpace.Written written = pci.write(offset, width, value);
                boolean reset = model.write(offset, width, value);
                assertThat(written.resetRequested()).isEqualTo(reset);
                if (reset) {
                    pci.config.reset();
                    model.reset();
                }
            }
        }
        for (int at = 0; at < 256; at++) {
            assertThat(pci.read(at, 1)).as("offset 0x%x", at).isEqualTo(model.read(at));
        }
        long expected = 0;
        for (int i = 0; i < width; i++) {
            expected |= (model.read(offset + i) & 0xffL) << (8 * i);
        }
        assertThat(pci.read(offset, width)).isEqualTo(expected);
        assertThat(pci.config.windows()).isEqualTo(model.windows());
    }

    /// The registers by the table, and the few that are more than bits.
    private static final class Model {
        private final int[] values = new int[256];
        private final int[] writable = new int[256];
        private int status;
        private boolean line;

        Model() {
            reset();
        }

        void reset() {
            Arrays.fill(values, 0);
            status = 0;
            line = false;
            for (Register register : REGISTERS) {
                for (int i = 0; i < register.width; i++) {
                    values[register.offset + i] = (int) (register.initial >>> (8 * i)) & 0xff;
                    writable[register.offset + i] = (int) (register.writable >>> (8 * i)) & 0xff;
                }
            }
        }

        int read(int at) {
            if (at < 0 || at >= 256) {
                return 0xff;
            }
            return switch (at) {
                case 6 -> values[at] | (line ? 8 : 0);
                case 7 -> status >> 8;
                default -> values[at];
            };
        }

        /// @return whether the function is to be reset
        boolean write(int offset, int width, long value) {
            int power = values[0x44];
            boolean reset = false;
            for (int i = 0; i < width; i++) {
                int at = offset + i;
                int written = (int) (value >>> (8 * i)) & 0xff;
                if (at >= 0 && at < 256) {
                    values[at] = (values[at] & ~writable[at]) | (written & writable[at]);
                    if (at == 7) {
                        status &= ~(written << 8);
                    }
                    reset |= at == 0x70 && (written & 1) != 0;
                }
            }
            if (values[0x44] == 1 || values[0x44] == 2) {
                values[0x44] = power;
            }
            reset |= power == 3 && values[0x44] == 0;
            if ((values[0x4a] & 1) != 0 && (values[0x4a] & 0x70) > 0x20) {
                values[0x4a] = (values[0x4a] & ~0x70) | 0x20;
            }
            return reset;
        }

        private long wide(int offset, int width) {
            long value = 0;
            for (int i = width - 1; i >= 0; i--) {
                value = value << 8 | values[offset + i];
            }
            return value;
        }

        List<BarWindow> windows() {
            List<BarWindow> windows = new ArrayList<>();
            if ((values[4] & 2) == 0 || values[0x44] != 0) {
                return windows;
            }
            add(windows, 0, wide(0x10, 8) & -0x1_0000L, 0x1_0000);
            add(windows, 2, wide(0x18, 8) & -0x100L, 0x100);
            add(windows, 4, wide(0x20, 8) & -0x1000L, 0x1000);
            long rom = wide(0x30, 4);
            if ((rom & 1) != 0 && (rom & ~1L) != 0xffff_f000L) {
                add(windows, 6, rom & ~1L, 0x1000);
            }
            return windows;
        }

        private static void add(List<BarWindow> windows, int region, long gpa, long size) {
            if (gpa > 0 && gpa <= PciFixture.GPA_LIMIT - size) {
                windows.add(new BarWindow(region, gpa, size));
            }
        }
    }
}
