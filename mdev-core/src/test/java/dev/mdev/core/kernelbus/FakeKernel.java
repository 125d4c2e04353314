package dev.mdev.core.kernelbus;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;

/// The files of a kernel with the drivers `mtty`, `mdpy` and `mbochs`, with the rules that Linux
/// 6.12 showed: which errno each write gives, what types share, and that a removal does not return
/// while a program has the device open.
final class FakeKernel implements KernelFiles {
    private static final String PARENTS = "/sys/class/mdev_bus/";
    private static final String DEVICES = "/sys/bus/mdev/devices/";

    /// A type: what one device takes of what its parent has.
    ///
    /// @param exhausted the errno when there is no more
    private record Type(String name, String description, int takes, Errno exhausted) {}

    /// A parent's driver.
    private record Driver(int has, Map<String, Type> types) {
        Type type(String id) {
            return Optional.ofNullable(types.get(id)).orElseThrow(() -> failure(Errno.ENOENT, id));
        }
    }

    /// A device, from its creation until its end is complete.
    private static final class Device {
        final String parent;
        final String type;
        final int group;
        boolean visible = true;
        boolean open;

        Device(String parent, String type, int group) {
            this.parent = parent;
            this.type = type;
            this.group = group;
        }
    }

    @GuardedBy("this")
    private final Map<String, Driver> drivers = new TreeMap<>();

    @GuardedBy("this")
    private final Map<String, Device> devices = new TreeMap<>();

    /// What was written to attributes, as `UUID/name=value`.
    @GuardedBy("this")
    private final List<String> settings = new ArrayList<>();

    @GuardedBy("this")
    private int nextGroup;

    /// The error of the next writes of attributes.
    @GuardedBy("this")
    private Optional<Errno> refusal = Optional.empty();

    /// The error of the next removals.
    @GuardedBy("this")
    private Optional<Errno> noRemoval = Optional.empty();

    /// The error of the next creations.
    @GuardedBy("this")
    private Optional<Errno> noDevice = Optional.empty();

    /// The sockets that receive messages.
    @GuardedBy("this")
    private final List<FakeMessages> listeners = new ArrayList<>();

    @GuardedBy("this")
    private boolean deaf;

    /// A listener that learns that there were messages, but not which.
    private static final class FakeMessages implements BusMessages {
        @GuardedBy("this")
        private boolean told;

        @GuardedBy("this")
        private boolean closed;

        @GuardedBy("this")
        private boolean broken;

        synchronized void breakDown() {
            broken = true;
            notifyAll();
        }

        synchronized void tell() {
            told = true;
            notifyAll();
        }

        @Override
        public synchronized boolean await(Duration atMost) {
            long end = System.nanoTime() + atMost.toNanos();
            while (!told && !closed && !broken) {
                long leftMillis = (end - System.nanoTime()) / 1_000_000;
                if (!atMost.isZero() && leftMillis <= 0) {
                    return false;
                }
                try {
                    wait(atMost.isZero() ? 0 : leftMillis);
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    return false;
                }
            }
            if (broken) {
                throw failure(Errno.EIO, "no more messages");
            }
            boolean wasTold = told && !closed;
            told = false;
            return wasTold;
        }

        @Override
        public synchronized void close() {
            closed = true;
            notifyAll();
        }
    }

    /// Nobody hears messages any more.
    synchronized void breakMessages() {
        listeners.forEach(FakeMessages::breakDown);
        deaf = true;
    }

    @Override
    public synchronized BusMessages listen() {
        if (deaf) {
            throw failure(Errno.EPERM, "no messages");
        }
        FakeMessages messages = new FakeMessages();
        listeners.add(messages);
        return messages;
    }

    private synchronized void tell() {
        listeners.forEach(FakeMessages::tell);
    }

    FakeKernel() {
        load("mtty");
        load("mdpy");
        load("mbochs");
    }

    /// Loads a module.
    synchronized void load(String module) {
        drivers.put(
                module,
                switch (module) {
                    case "mtty" ->
                            new Driver(
                                    24,
                                    Map.of(
                                            "mtty-1",
                                            new Type("Single port serial", "", 1, Errno.ENOSPC),
                                            "mtty-2",
                                            new Type("Dual port serial", "", 2, Errno.ENOSPC)));
                    case "mdpy" ->
                            new Driver(
                                    4,
                                    Map.of(
                                            "mdpy-vga",
                                            new Type(
                                                    "VGA",
                                                    "virtual display, 640x480",
                                                    1,
                                                    Errno.EUSERS)));
                    case "mbochs" ->
                            new Driver(
                                    64,
                                    Map.of(
                                            "mbochs-small",
                                            new Type("small", "4 MB", 4, Errno.ENOSPC),
                                            "mbochs-large",
                                            new Type("large", "16 MB", 16, Errno.ENOSPC)));
                    default -> throw new IllegalArgumentException(module);
                });
        tell();
    }

    /// `rmmod`: its idle devices go with it.
    ///
    /// @return false if one is open: the module is in use
    synchronized boolean unload(String module) {
        if (devices.values().stream().anyMatch(it -> it.parent.equals(module) && it.open)) {
            return false;
        }
        devices.values().removeIf(device -> device.parent.equals(module));
        drivers.remove(module);
        tell();
        return true;
    }

    /// A program opens a device, or closes it.
    synchronized void setOpen(UUID uuid, boolean open) {
        device(uuid).open = open;
        notifyAll();
    }

    private synchronized Device device(UUID uuid) {
        return Objects.requireNonNull(devices.get(uuid.toString()));
    }

    private synchronized Driver driver(String name) {
        return Optional.ofNullable(drivers.get(name))
                .orElseThrow(() -> failure(Errno.ENOENT, name));
    }

    synchronized void refuseAttributes(Errno errno) {
        refusal = Optional.of(errno);
    }

    /// @param errno none to remove devices again
    synchronized void refuseRemovals(Optional<Errno> errno) {
        noRemoval = errno;
    }

    synchronized void refuseDevices(Errno errno) {
        noDevice = Optional.of(errno);
    }

    synchronized List<String> settings() {
        return List.copyOf(settings);
    }

    @Override
    public synchronized void write(String path, String text) {
        if (path.startsWith(PARENTS) && path.endsWith("/create")) {
            String[] parts = path.substring(PARENTS.length()).split("/", -1);
            create(parts[0], parts[2], text);
        } else if (path.startsWith(DEVICES)) {
            set(path.substring(DEVICES.length()), text);
        } else {
            throw failure(Errno.EACCES, path);
        }
    }

    private synchronized void create(String parent, String type, String text) {
        if (noDevice.isPresent()) {
            throw failure(noDevice.get(), text);
        }
        Errno exhausted = driver(parent).type(type).exhausted;
        if (!text.matches("(?s)[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}.?")) {
            throw failure(Errno.EINVAL, text);
        }
        String uuid = text.substring(0, 36).toLowerCase(Locale.ROOT);
        if (devices.containsKey(uuid)) {
            throw failure(Errno.EEXIST, uuid);
        }
        if (available(parent, type) < 1) {
            throw failure(exhausted, uuid);
        }
        devices.put(uuid, new Device(parent, type, nextGroup++));
        tell();
    }

    private synchronized int available(String parent, String type) {
        Driver driver = driver(parent);
        int taken =
                devices.values().stream()
                        .filter(device -> device.parent.equals(parent))
                        .mapToInt(device -> driver.type(device.type).takes)
                        .sum();
        return (driver.has - taken) / driver.type(type).takes;
    }

    private synchronized void set(String rest, String value) {
        String uuid = rest.substring(0, rest.indexOf('/'));
        Device device = visible(uuid).orElseThrow(() -> failure(Errno.ENOENT, rest));
        String file = rest.substring(uuid.length() + 1);
        if (refusal.isPresent()) {
            throw failure(refusal.get(), rest);
        }
        if (!file.equals("resolution") && !file.startsWith("vendor/")) {
            throw failure(Errno.EACCES, device.parent + " has no " + file);
        }
        settings.add(rest + "=" + value);
    }

    @Override
    public synchronized void writeAside(String path, String text) {
        String uuid = path.substring(DEVICES.length(), path.lastIndexOf('/'));
        Device device = visible(uuid).orElseThrow(() -> failure(Errno.EIO, path));
        if (!text.equals("1")) {
            throw failure(Errno.EINVAL, text);
        }
        if (noRemoval.isPresent()) {
            throw failure(noRemoval.get(), path);
        }
        device.visible = false;
        tell();
        while (device.open) {
            try {
                wait();
            } catch (InterruptedException e) {
                // As in the kernel: nothing ends this wait.
            }
        }
        devices.remove(uuid, device);
    }

    private synchronized Optional<Device> visible(String uuid) {
        return Optional.ofNullable(devices.get(uuid)).filter(device -> device.visible);
    }

    private static MdevException failure(Errno errno, String what) {
        return new MdevException(errno, "fake kernel: " + what);
    }

    @Override
    public synchronized List<String> list(String folder) {
        if (folder.equals("/sys/class/mdev_bus")) {
            return List.copyOf(drivers.keySet());
        }
        if (folder.equals("/sys/bus/mdev/devices")) {
            return devices.keySet().stream().filter(it -> visible(it).isPresent()).toList();
        }
        if (folder.startsWith(PARENTS) && folder.endsWith("/mdev_supported_types")) {
            Driver driver = drivers.get(folder.split("/", -1)[4]);
            return driver == null ? List.of() : List.copyOf(new TreeSet<>(driver.types.keySet()));
        }
        if (folder.equals("/proc")) {
            return List.of("1", "4711", "self");
        }
        if (folder.equals("/proc/1/fd")) {
            throw failure(Errno.EACCES, folder);
        }
        if (folder.equals("/proc/4711/fd")) {
            List<String> open = new ArrayList<>();
            devices.values().stream()
                    .filter(device -> device.open)
                    .forEach(device -> open.add(Integer.toString(device.group)));
            return open;
        }
        return List.of();
    }

    @Override
    public synchronized boolean exists(String path) {
        if (path.startsWith(PARENTS)) {
            String[] parts = path.substring(PARENTS.length()).split("/", -1);
            Driver driver = drivers.get(parts[0]);
            return driver != null
                    && (parts.length < 4
                            || !parts[3].equals("description")
                            || !driver.type(parts[2]).description.isEmpty());
        }
        return path.startsWith(DEVICES) && visible(path.substring(DEVICES.length())).isPresent();
    }

    @Override
    public synchronized Optional<String> link(String path) {
        if (path.startsWith("/proc/4711/fd/")) {
            return Optional.of("/dev/vfio/" + path.substring("/proc/4711/fd/".length()));
        }
        if (path.endsWith("/driver") && path.startsWith(PARENTS)) {
            return Optional.of("../../bus/x/drivers/" + path.split("/", -1)[4]);
        }
        if (!path.startsWith(DEVICES)) {
            return Optional.empty();
        }
        String uuid = path.split("/", -1)[5];
        String file = path.substring((DEVICES + uuid).length());
        return visible(uuid)
                .flatMap(device ->
                        Optional.ofNullable(
                                switch (file) {
                                    case "" ->
                                            "../../../devices/virtual/%s/%s/%s"
                                                    .formatted(device.parent, device.parent, uuid);
                                    case "/mdev_type" -> "../mdev_supported_types/" + device.type;
                                    case "/iommu_group" ->
                                            "../../../../kernel/iommu_groups/" + device.group;
                                    default -> null;
                                }));
    }

    /// What reading a file does instead, by its path.
    private final Map<String, Supplier<String>> spoilt = new ConcurrentHashMap<>();

    /// Spoils a file.
    void spoil(String path, Supplier<String> read) {
        spoilt.put(path, read);
    }

    /// All files are as they should be.
    void mend() {
        spoilt.clear();
    }

    /// Not synchronized: a file that blocks does not keep the others.
    @Override
    public String read(String path) {
        Supplier<String> instead = spoilt.get(path);
        return instead == null ? readGood(path) : instead.get();
    }

    private synchronized String readGood(String path) {
        if (path.equals("/proc/4711/comm")) {
            return "qemu-system-x86";
        }
        String[] parts = path.substring(PARENTS.length()).split("/", -1);
        Type type = driver(parts[0]).type(parts[2]);
        return switch (parts[3]) {
            case "name" -> type.name;
            case "description" -> type.description.replace(", ", "\n");
            case "device_api" -> "vfio-pci";
            case "available_instances" -> Integer.toString(available(parts[0], parts[2]));
            default -> throw failure(Errno.ENOENT, path);
        };
    }
}
