package dev.mdev.core.kernelbus;

import dev.mdev.api.Attribute;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.UUID;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/// The mdev bus as the files of sysfs show it (Linux
/// `Documentation/ABI/testing/sysfs-bus-vfio-mdev`).
///
/// Any thread may call all methods. What another program removes in the meantime is left out.
final class KernelTree {
    private static final int MAX_TEXT_CHARS = 256;
    private static final Pattern UUID_NAME =
            Pattern.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}");

    private final KernelFiles files;
    private final String parents;
    private final String devices;

    /// @param sysfs where sysfs is mounted
    KernelTree(KernelFiles files, String sysfs) {
        this.files = files;
        parents = sysfs + "/class/mdev_bus";
        devices = sysfs + "/bus/mdev/devices";
    }

    /// A device.
    record Found(String parent, String type) {}

    /// The names of all parents.
    List<String> parents() {
        return files.list(parents);
    }

    boolean hasParent(String parent) {
        return files.exists(parents + "/" + parent);
    }

    /// One line about a parent.
    String description(String parent) {
        return files.link(parents + "/" + parent + "/driver")
                .map(link -> "split by the kernel's driver " + nameOf(link))
                .orElse("split by the kernel");
    }

    /// A parent's types. The kernel has no limit of instances that it tells.
    List<MdevType> types(String parent) {
        return files.list(typesOf(parent)).stream()
                .map(id ->
                        new MdevType(
                                id,
                                text(parent, id, "name").orElse(id),
                                text(parent, id, "description").orElse(""),
                                text(parent, id, "device_api").orElse(MdevType.VFIO_PCI),
                                List.of(),
                                Integer.MAX_VALUE))
                .toList();
    }

    private String typesOf(String parent) {
        return parents + "/" + parent + "/mdev_supported_types";
    }

    /// Not every driver has every text.
    private Optional<String> text(String parent, String type, String file) {
        String path = typesOf(parent) + "/" + type + "/" + file;
        if (!files.exists(path)) {
            return Optional.empty();
        }
        String line = files.read(path).replaceAll("[\\p{Cntrl}]+", ", ");
        return Optional.of(
                line.length() <= MAX_TEXT_CHARS ? line : line.substring(0, MAX_TEXT_CHARS));
    }

    /// `available_instances` of a type.
    ///
    /// @throws MdevException the kernel's error, EPROTO if it is no number
    int available(String parent, String type) {
        String path = typesOf(parent) + "/" + type + "/available_instances";
        String text = files.read(path);
        if (!text.matches("[0-9]{1,9}")) {
            throw new MdevException(
                    Errno.EPROTO, "not a number: path=%s text=%.40s".formatted(path, text));
        }
        return Integer.parseInt(text);
    }

    /// All devices of the bus, of any parent.
    Map<UUID, Found> devices() {
        Map<UUID, Found> found = new LinkedHashMap<>();
        for (String name : files.list(devices)) {
            if (!UUID_NAME.matcher(name).matches()) {
                continue;
            }
            UUID uuid = UUID.fromString(name);
            device(uuid).ifPresent(device -> found.put(uuid, device));
        }
        return found;
    }

    /// A device of any parent, if it exists. Its link is `.../PARENT/UUID`, and that of its type
    /// `.../mdev_supported_types/TYPE`.
    Optional<Found> device(UUID uuid) {
        Optional<String> folder = files.link(folder(uuid));
        Optional<String> type = files.link(folder(uuid) + "/mdev_type");
        return folder.isEmpty() || type.isEmpty()
                ? Optional.empty()
                : Optional.of(new Found(nameOf(parentOf(folder.get())), nameOf(type.get())));
    }

    /// The folder of a device.
    String folder(UUID uuid) {
        return devices + "/" + uuid;
    }

    boolean hasDevice(UUID uuid) {
        return files.exists(folder(uuid));
    }

    /// The parent of a device, if it exists.
    Optional<String> parentOf(UUID uuid) {
        return files.link(folder(uuid)).map(link -> nameOf(parentOf(link)));
    }

    /// The IOMMU group of a device; it has none while no kernel driver is bound to it.
    OptionalInt iommuGroup(UUID uuid) {
        return files.link(folder(uuid) + "/iommu_group")
                .map(KernelTree::nameOf)
                .filter(name -> name.matches("[0-9]{1,9}"))
                .map(name -> OptionalInt.of(Integer.parseInt(name)))
                .orElse(OptionalInt.empty());
    }

    /// The names of the device's own files below `/dev/vfio/devices`, where the kernel has them.
    List<String> vfioDevices(UUID uuid) {
        return files.list(folder(uuid) + "/vfio-dev");
    }

    void create(String parent, String type, UUID uuid) {
        files.write(typesOf(parent) + "/" + type + "/create", uuid.toString());
    }

    /// Ends a device; nothing if it is gone. Does not return while a program has it open.
    ///
    /// @throws MdevException EIO if the kernel refuses
    void remove(UUID uuid) {
        if (!hasDevice(uuid)) {
            return;
        }
        try {
            files.writeAside(folder(uuid) + "/remove", "1");
        } catch (MdevException e) {
            if (hasDevice(uuid)) {
                throw e;
            }
        }
    }

    /// Writes an attribute of a device.
    ///
    /// @throws MdevException the kernel's error; EACCES if its path leads out of the device's
    ///   folder
    void set(UUID uuid, Attribute attribute) {
        String path = folder(uuid);
        for (String part : attribute.name().split("/", -1)) {
            path += "/" + part;
            if (files.link(path).isPresent()) {
                throw new MdevException(Errno.EACCES, "a link: path=" + path);
            }
        }
        files.write(path, attribute.value());
    }

    /// A text that changes with the parents and devices, also if one of the same uuid has another
    /// parent or type.
    String shape() {
        return files.list(parents) + " " + devices();
    }

    /// Devices of a parent by type, in words.
    String inventory(String parent) {
        Map<String, Long> counts =
                devices().values().stream()
                        .filter(device -> device.parent().equals(parent))
                        .collect(
                                Collectors.groupingBy(
                                        Found::type, TreeMap::new, Collectors.counting()));
        return counts.isEmpty()
                ? "it has no devices"
                : counts.entrySet().stream()
                        .map(entry -> entry.getValue() + " of " + entry.getKey())
                        .collect(Collectors.joining(", ", "it has ", ""));
    }

    private static String parentOf(String path) {
        int slash = path.lastIndexOf('/');
        return slash < 0 ? "" : path.substring(0, slash);
    }

    private static String nameOf(String path) {
        return path.substring(path.lastIndexOf('/') + 1);
    }
}
