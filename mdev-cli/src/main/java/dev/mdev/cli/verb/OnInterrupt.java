package dev.mdev.cli.verb;

import dev.mdev.cli.failure.Failure;

/// Something to do if the operator ends this process while a verb runs (Ctrl-C, SIGTERM).
final class OnInterrupt implements AutoCloseable {
    private final Thread hook;

    private OnInterrupt(Thread hook) {
        this.hook = hook;
    }

    /// Runs the task if the process ends before the result is closed.
    static OnInterrupt run(Runnable task) {
        Thread hook =
                new Thread(
                        () -> {
                            try {
                                task.run();
                            } catch (Failure e) {
                                return;
                            }
                        },
                        "mdev-on-interrupt");
        Runtime.getRuntime().addShutdownHook(hook);
        return new OnInterrupt(hook);
    }

    @Override
    public void close() {
        try {
            Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException e) {
            // The process is ending, and the task runs.
            return;
        }
    }
}
