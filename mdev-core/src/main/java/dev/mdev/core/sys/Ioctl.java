package dev.mdev.core.sys;

/// How Linux composes ioctl numbers (`asm-generic/ioctl.h`): direction, size of the argument, type
/// and number.
final class Ioctl {
    private static final int WRITE = 1;
    private static final int READ = 2;

    private Ioctl() {}

    /// `_IO`: the argument is a plain number, or there is none.
    static long io(int type, int number) {
        return compose(0, type, number, 0);
    }

    /// `_IOW`: the kernel reads the argument.
    static long iow(int type, int number, int sizeBytes) {
        return compose(WRITE, type, number, sizeBytes);
    }

    /// `_IOR`: the kernel writes the argument.
    static long ior(int type, int number, int sizeBytes) {
        return compose(READ, type, number, sizeBytes);
    }

    /// `_IOWR`: both.
    static long iowr(int type, int number, int sizeBytes) {
        return compose(READ | WRITE, type, number, sizeBytes);
    }

    private static long compose(int direction, int type, int number, int sizeBytes) {
        return ((long) direction << 30) | ((long) sizeBytes << 16) | ((long) type << 8) | number;
    }
}
