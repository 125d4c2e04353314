package dev.mdev.host.web;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import java.io.IOException;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;

/// The work of one request, which runs on a thread of its own. The request is answered without it
/// if a driver's callback keeps it for too long: see [RequestThreads]. From then on it must not
/// touch the request and the response, which the server uses for others.
public final class RequestWork {
    private static final ScopedValue<RequestWork> CURRENT = ScopedValue.newInstance();

    private final ReentrantLock exchange = new ReentrantLock();

    @GuardedBy("exchange")
    private boolean answered;

    @GuardedBy("exchange")
    private Runnable release = () -> {};

    RequestWork() {}

    /// An access to the request or the response.
    @FunctionalInterface
    public interface Access<T> {
        T run() throws IOException;
    }

    /// The work that this thread does; work that is never given up if there is none.
    public static RequestWork current() {
        return CURRENT.orElse(new RequestWork());
    }

    <R, X extends Throwable> R call(ScopedValue.CallableOp<R, X> work) throws X {
        return ScopedValue.where(CURRENT, this).call(work);
    }

    /// Sets what to release when the request is answered without this work. It may have been
    /// released already.
    public void whenGivenUp(Runnable action) {
        exchange.lock();
        try {
            release = action;
        } finally {
            exchange.unlock();
        }
    }

    /// Accesses the request or the response.
    ///
    /// @throws IOException if the request has been answered without this work
    public <T> T access(Access<T> access) throws IOException {
        exchange.lock();
        try {
            if (answered) {
                throw new IOException("the request has been answered");
            }
            return access.run();
        } finally {
            exchange.unlock();
        }
    }

    /// Lets the request be answered without this work, unless it is in an [#access].
    ///
    /// @param stuck what keeps the work, if anything does
    /// @return the same; nothing if the request must wait
    <T> Optional<T> giveUpIf(Supplier<Optional<T>> stuck) {
        if (!exchange.tryLock()) {
            return Optional.empty();
        }
        try {
            Optional<T> reason = stuck.get();
            answered = reason.isPresent();
            if (answered) {
                release.run();
            }
            return reason;
        } finally {
            exchange.unlock();
        }
    }
}
