package dev.mdev.core.kernelbus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.bus.BusOptions;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevEvent;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.bus.MdevStatus;
import dev.mdev.core.device.Parent;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.ledger.Owner;
import dev.mdev.core.store.DirectoryFiles;
import dev.mdev.core.support.Together;
import dev.mdev.gate.Deadlines;

import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/// A host on a kernel, for a test. Its devices are gone afterwards.
abstract class KernelBusHost {
    static final UUID ONE = UUID.fromString("11111111-1111-4111-8111-111111111111");
    static final UUID TWO = UUID.fromString("22222222-2222-4222-8222-222222222222");
    private static final Duration HASTY = Duration.ofSeconds(1);

    /// The host learns nothing by itself.
    static final Map<String, String> DEAF = Map.of("poll-millis", "0", "poll-only", "true");

    /// The host only looks.
    static final Map<String, String> LOOKING = Map.of("poll-millis", "50", "poll-only", "true");

    /// The host only listens to the kernel.
    static final Map<String, String> LISTENING = Map.of("poll-millis", "0");

    @TempDir
    @SuppressWarnings("NullAway.Init")
    Path state;

    final List<MdevEvent.Fact> facts = new CopyOnWriteArrayList<>();

    private Duration deadline = Deadlines.HANG;

    private HostMemory memory = new HostMemory(new OffHeapBackend());

    /// Set before each test.
    @SuppressWarnings("NullAway.Init")
    MdevBus bus;

    /// The kernel's files.
    abstract KernelFiles files();

    /// A program opens a device, until it is closed.
    abstract AutoCloseable use(UUID uuid) throws Exception;

    abstract void loadModule(String module) throws Exception;

    abstract void unloadModule(String module) throws Exception;

    /// The name of the program that uses devices.
    abstract String user();

    private MdevBus open(Map<String, String> settings, Consumer<String> reports) {
        MdevObserver observer =
                new MdevObserver() {
                    @Override
                    public void event(MdevEvent event) {
                        facts.add(event.fact());
                    }
                };
        MdevBus opened =
                new MdevBus(memory, new DirectoryFiles(state), BusOptions.of(deadline, observer));
        opened.addDriver(new KernelBusDriver(files()), settings, reports);
        return opened;
    }

    @BeforeEach
    void begin() {
        bus = open(DEAF, _ -> {});
    }

    @AfterEach
    void end() {
        if (deadline.equals(HASTY)) {
            deadline = Deadlines.HANG;
            restart(DEAF);
        }
        for (MdevStatus status : bus.statuses()) {
            if (status.owner() == Owner.FOREIGN) {
                bus.adopt(status.uuid());
            }
            remove(status.uuid());
        }
        bus.close();
        memory.close();
        assertThat(files().list("/sys/bus/mdev/devices")).isEmpty();
    }

    /// A device that has just become active may still belong to the verb that started it.
    private void remove(UUID uuid) {
        await(() -> {
            try {
                bus.remove(uuid);
                return true;
            } catch (MdevException e) {
                if (e.errno() != Errno.EAGAIN) {
                    throw e;
                }
                return false;
            }
        });
    }

    void restart(Map<String, String> settings) {
        restart(settings, _ -> {});
    }

    void restart(Map<String, String> settings, Consumer<String> reports) {
        await(this::tryClose);
        memory.close();
        memory = new HostMemory(new OffHeapBackend());
        facts.clear();
        bus = open(settings, reports);
    }

    /// A short deadline may end before the parents are closed.
    private boolean tryClose() {
        try {
            bus.close();
            return true;
        } catch (MdevException e) {
            if (e.errno() != Errno.ETIMEDOUT) {
                throw e;
            }
            return false;
        }
    }

    /// From now on, the host has little patience, also with callbacks that are only slow.
    void hasten() {
        deadline = HASTY;
        restart(DEAF);
    }

    /// Another program makes a device.
    void makeForeign(String parent, String type, UUID uuid) {
        files().write(
                        "/sys/class/mdev_bus/%s/mdev_supported_types/%s/create"
                                .formatted(parent, type),
                        uuid + "\n");
    }

    boolean isInKernel(UUID uuid) {
        return files().exists("/sys/bus/mdev/devices/" + uuid);
    }

    MdevStatus status(UUID uuid) {
        return bus.status(uuid).orElseThrow();
    }

    int available(String parent, String type) {
        Parent found = bus.parent(parent);
        return bus.available(found, found.type(type));
    }

    /// Not all that changes is told of, and some is told of before it shows.
    static void await(BooleanSupplier condition) {
        Together.await("it shows", condition);
    }

    static MdevException failure(ThrowingCallable call, Errno errno) {
        List<MdevException> thrown = new ArrayList<>();
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        MdevException.class,
                        e -> {
                            assertThat(e.errno()).as("%s", e).isEqualTo(errno);
                            thrown.add(e);
                        });
        return thrown.getFirst();
    }
}
