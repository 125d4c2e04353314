package dev.mdev.core.engine;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Access;

/// A row of guest loads or stores of the same width, at a fixed distance.
///
/// Access `i` of a row is at `gpa + i * strideBytes`; the stride may be negative or zero. An access
/// may cross a page, as an instruction may.
public sealed interface GuestAccess {
    /// Address, width and count.
    Span span();

    /// The operation of the guest.
    Access access();

    /// Loads; each value is passed on.
    ///
    /// @param sink gets each value, in order, on the processor's thread
    record Load(Span span, Sink sink) implements GuestAccess {
        @Override
        public Access access() {
            return Access.READ;
        }
    }

    /// Stores; access `i` stores the low bytes of `value + i * step`.
    record Store(Span span, long value, long step) implements GuestAccess {
        @Override
        public Access access() {
            return Access.WRITE;
        }

        /// The value that access `index` stores.
        public long valueAt(long index) {
            return value + index * step;
        }
    }

    /// The addresses of a row.
    ///
    /// @param gpa guest-physical address of the first access
    /// @param widthBytes 1, 2, 4 or 8
    /// @param count accesses, at least 0
    /// @param strideBytes from one access to the next
    record Span(long gpa, int widthBytes, long count, long strideBytes) {
        /// One more than the highest guest-physical address.
        public static final long GPA_LIMIT = 1L << 52;

        public Span {
            if (widthBytes < 1 || widthBytes > 8 || Integer.bitCount(widthBytes) != 1) {
                throw new MdevException(Errno.EINVAL, "widthBytes=" + widthBytes);
            }
            if (count < 0 || !isInside(gpa, widthBytes, count, strideBytes)) {
                throw new MdevException(
                        Errno.EINVAL,
                        "accesses leave guest-physical memory: gpa=0x%x widthBytes=%d count=%d strideBytes=%d"
                                .formatted(gpa, widthBytes, count, strideBytes));
            }
        }

        /// The address of access `index`.
        public long gpaAt(long index) {
            return gpa + index * strideBytes;
        }

        private static boolean isInside(long gpa, int widthBytes, long count, long strideBytes) {
            if (gpa < 0 || gpa > GPA_LIMIT - widthBytes) {
                return false;
            }
            if (count <= 1 || strideBytes == 0) {
                return true;
            }
            long room = strideBytes > 0 ? GPA_LIMIT - widthBytes - gpa : gpa;
            // Long.MIN_VALUE has no absolute value; unsigned division still gets it right.
            return Long.compareUnsigned(count - 1, Long.divideUnsigned(room, Math.abs(strideBytes)))
                    <= 0;
        }
    }

    /// Takes loaded values.
    @FunctionalInterface
    interface Sink {
        /// @param index which access of the row
        /// @param value the value, in the low bytes
        void accept(long index, long value);
    }
}
