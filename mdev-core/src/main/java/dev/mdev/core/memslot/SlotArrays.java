package dev.mdev.core.memslot;

import java.util.Arrays;

/// Copies of sorted arrays with one element added, removed or replaced.
final class SlotArrays {
    private SlotArrays() {}

    static Memslot[] inserted(Memslot[] slots, int at, Memslot slot) {
        Memslot[] result = Arrays.copyOf(slots, slots.length + 1);
        System.arraycopy(slots, at, result, at + 1, slots.length - at);
        result[at] = slot;
        return result;
    }

    static Memslot[] removed(Memslot[] slots, int at) {
        Memslot[] result = Arrays.copyOf(slots, slots.length - 1);
        System.arraycopy(slots, at + 1, result, at, result.length - at);
        return result;
    }

    static Memslot[] replaced(Memslot[] slots, int at, Memslot slot) {
        Memslot[] result = slots.clone();
        result[at] = slot;
        return result;
    }

    static long[] inserted(long[] values, int at, long value) {
        long[] result = Arrays.copyOf(values, values.length + 1);
        System.arraycopy(values, at, result, at + 1, values.length - at);
        result[at] = value;
        return result;
    }

    static long[] removed(long[] values, int at) {
        long[] result = Arrays.copyOf(values, values.length - 1);
        System.arraycopy(values, at + 1, result, at, result.length - at);
        return result;
    }
}
