package dev.mdev.core.sys;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.concurrent.atomic.AtomicReference;

/// The real C library, but calls that a test picks fail with the error number it picks.
public final class FailingLibc {
    /// Decides about one call.
    @FunctionalInterface
    public interface Rule {
        /// @param function as the method of [Libc] is called
        /// @return 0 to make the call, else the error number to fail with
        int errnoFor(String function, Object[] arguments);
    }

    private final AtomicReference<Rule> rule = new AtomicReference<>((_, _) -> 0);
    private final ThreadLocal<Integer> errno = ThreadLocal.withInitial(() -> 0);
    private final Libc libc;

    public FailingLibc(Libc real) {
        libc =
                (Libc)
                        Proxy.newProxyInstance(
                                FailingLibc.class.getClassLoader(),
                                new Class<?>[] {Libc.class},
                                (_, method, arguments) -> {
                                    Object[] args = arguments == null ? new Object[0] : arguments;
                                    if (method.getName().equals("errno")) {
                                        int picked = errno.get();
                                        return picked != 0 ? picked : real.errno();
                                    }
                                    errno.set(rule.get().errnoFor(method.getName(), args));
                                    if (errno.get() != 0) {
                                        return failure(method.getReturnType());
                                    }
                                    try {
                                        return method.invoke(real, args);
                                    } catch (InvocationTargetException e) {
                                        throw e.getCause();
                                    }
                                });
    }

    private static Object failure(Class<?> type) {
        if (type == long.class) {
            return -1L;
        }
        return -1;
    }

    /// What to hand to the code under test.
    public Libc libc() {
        return libc;
    }

    /// From now on.
    public void fail(Rule newRule) {
        rule.set(newRule);
    }

    /// All calls are made again.
    public void failNothing() {
        rule.set((_, _) -> 0);
    }
}
