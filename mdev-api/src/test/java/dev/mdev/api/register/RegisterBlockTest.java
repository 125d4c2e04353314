package dev.mdev.api.register;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

final class RegisterBlockTest {
    /// Sixteen bytes: registers of 1, 1, 2, 4 and 8 bytes.
    private static final class Mixed implements RegisterBlock {
        private final byte[] bytes = new byte[16];
        private final List<Integer> loaded = new ArrayList<>();

        @Override
        public int widthAt(int offset) {
            if (offset < 2) {
                return 1;
            }
            if (offset < 4) {
                return 2;
            }
            return offset < 8 ? 4 : 8;
        }

        @Override
        public long load(int offset) {
            loaded.add(offset);
            return plain(offset);
        }

        private long plain(int offset) {
            long value = 0;
            for (int i = widthAt(offset) - 1; i >= 0; i--) {
                value = (value << 8) | (bytes[offset + i] & 0xFF);
            }
            return value;
        }

        @Override
        public void store(int offset, long value, long mask) {
            assertThat(value & ~mask).isZero();
            long merged = RegisterBlock.merge(plain(offset), value, mask);
            for (int i = 0; i < widthAt(offset); i++) {
                bytes[offset + i] = (byte) (merged >>> (8 * i));
            }
        }
    }

    @Test
    void accessesOfAnyWidthAtAnyOffsetAreThoseToBytes() {
        SplittableRandom random = new SplittableRandom();
        Mixed block = new Mixed();
        byte[] model = new byte[16];
        for (int round = 0; round < 2000; round++) {
            int width = 1 << random.nextInt(4);
            int offset = random.nextInt(16 - width + 1);
            long value = random.nextLong();
            block.write(offset, width, value);
            long expected = 0;
            for (int i = 0; i < width; i++) {
                model[offset + i] = (byte) (value >>> (8 * i));
            }
            for (int i = width - 1; i >= 0; i--) {
                expected = (expected << 8) | (model[offset + i] & 0xFF);
            }
            assertThat(block.bytes).isEqualTo(model);
            assertThat(block.read(offset, width)).isEqualTo(expected);
        }
    }

    @Test
    void eachRegisterIsLoadedOnceAndInOrder() {
        Mixed block = new Mixed();
        block.read(1, 8);
        assertThat(block.loaded).containsExactly(1, 2, 4, 8);
    }
}
