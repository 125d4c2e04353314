package dev.mdev.vfiouser;

import org.jspecify.annotations.Nullable;

/// What a message asks for.
enum Command {
    VERSION(1),
    DMA_MAP(2),
    DMA_UNMAP(3),
    DEVICE_GET_INFO(4),
    DEVICE_GET_REGION_INFO(5),
    DEVICE_GET_REGION_IO_FDS(6),
    DEVICE_GET_IRQ_INFO(7),
    DEVICE_SET_IRQS(8),
    REGION_READ(9),
    REGION_WRITE(10),

    /// Only from the server to the client.
    DMA_READ(11),
    /// Only from the server to the client.
    DMA_WRITE(12),

    DEVICE_RESET(13),
    REGION_WRITE_MULTI(15),
    DEVICE_FEATURE(16),
    MIG_DATA_READ(17),
    MIG_DATA_WRITE(18);

    private static final int LIMIT = 32;
    private static final @Nullable Command[] BY_NUMBER = new @Nullable Command[LIMIT];

    static {
        for (Command command : values()) {
            BY_NUMBER[command.number] = command;
        }
    }

    private final int number;

    Command(int number) {
        this.number = number;
    }

    int number() {
        return number;
    }

    /// The command of a number, or null if there is none.
    static @Nullable Command of(int number) {
        return number < LIMIT ? BY_NUMBER[number] : null;
    }
}
