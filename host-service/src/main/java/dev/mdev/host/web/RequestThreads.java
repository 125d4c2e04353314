package dev.mdev.host.web;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.driver.CallReport;
import dev.mdev.host.bus.BusProperties;
import dev.mdev.host.problem.BrokenStreamException;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import org.jspecify.annotations.Nullable;
import org.slf4j.MDC;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.boot.webmvc.autoconfigure.WebMvcRegistrations;
import org.springframework.core.MethodParameter;
import org.springframework.http.HttpStatus;
import org.springframework.security.core.context.SecurityContext;
import org.springframework.security.core.context.SecurityContextHolder;
import org.springframework.stereotype.Component;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.context.request.RequestContextHolder;
import org.springframework.web.context.request.ServletRequestAttributes;
import org.springframework.web.context.request.ServletWebRequest;
import org.springframework.web.method.HandlerMethod;
import org.springframework.web.method.support.ModelAndViewContainer;
import org.springframework.web.servlet.HandlerMapping;
import org.springframework.web.servlet.mvc.method.annotation.RequestMappingHandlerAdapter;
import org.springframework.web.servlet.mvc.method.annotation.ServletInvocableHandlerMethod;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.FutureTask;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;
import java.util.stream.IntStream;

/// Runs each controller on a thread of its own, and answers the request with ETIMEDOUT when a
/// driver's callback on that thread exceeds its deadline. The work continues: its effect shows when
/// the driver returns.
///
/// The threads are platform threads: a driver that computes without end takes none of the few
/// carriers of virtual threads, on which requests are served. Stuck threads are bounded, because a
/// driver is called once at a time for each device and parent, and a wait for that has a deadline.
@Component
final class RequestThreads implements WebMvcRegistrations, AutoCloseable {
    private static final String ROOT = "/api/v1/";
    private static final String DRY_RUN = "dryRun";

    /// The callbacks that exceed their deadline now.
    private final Supplier<List<CallReport>> overdue;

    /// How often a request looks for a callback that keeps its work.
    private final Duration period;

    /// The web layer exists before they do.
    private final Supplier<LongCalls> longCalls;

    private final ThreadPoolExecutor threads =
            (ThreadPoolExecutor)
                    Executors.newCachedThreadPool(
                            Thread.ofPlatform().daemon().name("request-", 0).factory());

    @Autowired
    RequestThreads(
            ObjectProvider<MdevBus> bus,
            BusProperties properties,
            ObjectProvider<LongCalls> longCalls) {
        this(
                () -> bus.getObject().overdueCalls(),
                properties.driverDeadline().dividedBy(4).plusMillis(1),
                longCalls::getObject);
    }

    RequestThreads(
            Supplier<List<CallReport>> overdue, Duration period, Supplier<LongCalls> longCalls) {
        this.overdue = overdue;
        this.period = period;
        this.longCalls = longCalls;
    }

    @Override
    public RequestMappingHandlerAdapter getRequestMappingHandlerAdapter() {
        return new RequestMappingHandlerAdapter() {
            @Override
            protected ServletInvocableHandlerMethod createInvocableHandlerMethod(
                    HandlerMethod method) {
                return new Controller(method);
            }
        };
    }

    @Override
    public void close() {
        threads.shutdown();
    }

    /// A method of a controller. Its arguments are read, and its result is written, by the thread
    /// of the request.
    private final class Controller extends ServletInvocableHandlerMethod {
        Controller(HandlerMethod method) {
            super(method);
        }

        @Override
        protected @Nullable Object doInvoke(@Nullable Object... arguments) throws Exception {
            Callable<@Nullable Object> work = () -> super.doInvoke(arguments);
            LongCall kind = getMethodAnnotation(LongCall.class);
            if (kind == null) {
                return perform(work);
            }
            HttpServletRequest request =
                    ((ServletRequestAttributes) RequestContextHolder.currentRequestAttributes())
                            .getRequest();
            Optional<Duration> patience = Preference.patienceOf(request);
            if (patience.isEmpty() || isDryRun(arguments)) {
                return perform(() -> longCalls.get().perform(work));
            }
            return longCalls.get().begin(asked(kind, request, patience.get()), work);
        }

        /// It takes no time.
        private boolean isDryRun(@Nullable Object... arguments) {
            MethodParameter[] parameters = getMethodParameters();
            return IntStream.range(0, parameters.length)
                    .filter(i -> DRY_RUN.equals(parameters[i].getParameterName()))
                    .anyMatch(i -> Boolean.TRUE.equals(arguments[i]));
        }

        private LongCalls.Asked asked(
                LongCall kind, HttpServletRequest request, Duration patience) {
            ResponseStatus status = getMethodAnnotation(ResponseStatus.class);
            return new LongCalls.Asked(
                    kind.value(),
                    targetOf(request),
                    request.getMethod(),
                    request.getRequestURI(),
                    status == null ? HttpStatus.OK.value() : status.code().value(),
                    patience,
                    IfMatch.keep(request));
        }

        /// Once a part of the body is sent, only a missing end can tell of a failure.
        @Override
        public void invokeAndHandle(
                ServletWebRequest request,
                ModelAndViewContainer view,
                @Nullable Object... arguments)
                throws Exception {
            try {
                super.invokeAndHandle(request, view, arguments);
            } catch (Exception e) {
                HttpServletResponse response = request.getResponse();
                // The server itself commits a refusal of a malformed body.
                if (response != null && response.isCommitted() && response.getStatus() < 400) {
                    throw new BrokenStreamException(request.getRequest().getRequestURI(), e);
                }
                throw e;
            }
        }
    }

    /// The thing that the path of a request is about: its first variable, and the list of that.
    private static String targetOf(HttpServletRequest request) {
        String pattern =
                String.valueOf(
                        request.getAttribute(HandlerMapping.BEST_MATCHING_PATTERN_ATTRIBUTE));
        String[] parts = pattern.substring(ROOT.length()).split("/", 3);
        if (parts.length < 2
                || !(request.getAttribute(HandlerMapping.URI_TEMPLATE_VARIABLES_ATTRIBUTE)
                        instanceof Map<?, ?> variables)) {
            return parts[0];
        }
        return parts[0] + "/" + variables.get(parts[1].replaceAll("[{}]", ""));
    }

    /// Does the work of a request.
    ///
    /// @throws MdevException ETIMEDOUT if a driver's callback keeps it
    @Nullable Object perform(Callable<@Nullable Object> controller) throws Exception {
        RequestWork work = new RequestWork();
        Worker worker = new Worker(work, controller);
        threads.execute(worker);
        while (true) {
            try {
                return worker.get(period.toNanos(), TimeUnit.NANOSECONDS);
            } catch (TimeoutException _) {
                worker.requireNotStuck();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new MdevException(Errno.EINTR, "interrupted", e);
            } catch (ExecutionException e) {
                if (e.getCause() instanceof Exception cause) {
                    throw cause;
                }
                throw e;
            }
        }
    }

    private final class Worker extends FutureTask<@Nullable Object> {
        private final RequestWork work;
        private final Map<String, String> logged;
        private final SecurityContext caller = SecurityContextHolder.getContext();
        private volatile @Nullable Thread thread;

        Worker(RequestWork work, Callable<@Nullable Object> controller) {
            super(() -> work.call(controller::call));
            this.work = work;
            this.logged = MDC.getCopyOfContextMap();
        }

        @Override
        public void run() {
            thread = Thread.currentThread();
            MDC.setContextMap(logged);
            SecurityContextHolder.setContext(caller);
            try {
                super.run();
            } finally {
                SecurityContextHolder.clearContext();
                MDC.clear();
            }
        }

        /// @throws MdevException ETIMEDOUT if a driver's callback keeps the work: the request is to
        ///   be answered without it
        void requireNotStuck() {
            work.giveUpIf(this::stuckCall)
                    .ifPresent(call -> {
                        throw new MdevException(
                                Errno.ETIMEDOUT,
                                "%s %s has not returned for %d ms; the work ends when it does"
                                        .formatted(
                                                call.owner(),
                                                call.callback(),
                                                call.durationNanos() / 1_000_000));
                    });
        }

        private Optional<CallReport> stuckCall() {
            Thread mine = thread;
            return mine == null
                    ? Optional.empty()
                    : overdue.get().stream().filter(call -> call.thread().equals(mine)).findFirst();
        }
    }
}
