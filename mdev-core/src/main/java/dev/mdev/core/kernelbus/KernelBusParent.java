package dev.mdev.core.kernelbus;

import dev.mdev.api.Aperture;
import dev.mdev.api.Attribute;
import dev.mdev.api.Errno;
import dev.mdev.api.ExistingDevice;
import dev.mdev.api.KernelNode;
import dev.mdev.api.KernelParent;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.Room;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;

/// One parent of the kernel's bus.
final class KernelBusParent implements KernelParent {
    /// Files of each device that are the bus's own.
    private static final Set<String> NO_ATTRIBUTES = Set.of("remove", "uevent");

    private final KernelBusDriver.Roots roots;
    private final KernelFiles files;
    private final KernelTree tree;
    private final String name;
    private final Aperture aperture;
    private final String description;
    private final List<MdevType> types;

    /// The devices that this host has.
    private final Set<UUID> owned = ConcurrentHashMap.newKeySet();

    /// The nodes of the devices that are being ended: their folders are gone before they are.
    private final Map<UUID, Node> ending = new ConcurrentHashMap<>();

    /// @param aperture a page that no device gets: the kernel has the device's memory
    KernelBusParent(
            KernelBusDriver.Roots roots, KernelFiles files, String name, Aperture aperture) {
        this.roots = roots;
        this.files = files;
        this.tree = new KernelTree(files, roots.sysfs());
        this.name = name;
        this.aperture = aperture;
        description = tree.description(name);
        types = tree.types(name);
    }

    /// The files of a device.
    private record Node(String deviceApi, OptionalInt group, List<String> vfioDevices) {}

    @Override
    public String name() {
        return name;
    }

    @Override
    public String description() {
        return description;
    }

    @Override
    public Aperture aperture() {
        return aperture;
    }

    @Override
    public List<ResourcePool> pools() {
        return List.of();
    }

    @Override
    public List<MdevType> types() {
        return types;
    }

    @Override
    public boolean takesAttribute(String attribute) {
        return !NO_ATTRIBUTES.contains(attribute);
    }

    @Override
    public MdevDevice create(MdevContext context) {
        UUID uuid = context.uuid();
        String type = context.type().id();
        try {
            tree.create(name, type, uuid);
        } catch (MdevException e) {
            throw inWords(e, uuid, type);
        }
        for (Attribute attribute : context.attributes()) {
            try {
                tree.set(uuid, attribute);
            } catch (MdevException e) {
                throw refused(uuid, attribute, e);
            }
        }
        owned.add(uuid);
        return new KernelBusDevice(this, uuid, context.type().id());
    }

    /// Without one of its attributes, the device is removed again.
    private MdevException refused(UUID uuid, Attribute attribute, MdevException e) {
        String what =
                "mdev=%s refuses attribute=%s value=%s with %s"
                        .formatted(uuid, attribute.name(), attribute.value(), e.errno());
        try {
            tree.remove(uuid);
            return new MdevException(Errno.EINVAL, what, e);
        } catch (MdevException stays) {
            e.addSuppressed(stays);
            return new MdevException(
                    Errno.EINVAL, what + "; it stays, and is foreign: " + stays.getMessage(), e);
        }
    }

    private MdevException inWords(MdevException e, UUID uuid, String type) {
        String what =
                "the kernel refuses mdev=%s of type=%s with %s: ".formatted(uuid, type, e.errno());
        return switch (e.errno()) {
            case ENOSPC, EUSERS ->
                    new MdevException(
                            Errno.EUSERS,
                            what + "parent=" + name + " has no room; " + tree.inventory(name),
                            e);
            case EEXIST -> new MdevException(Errno.EEXIST, what + whoHas(uuid), e);
            case EINVAL ->
                    new MdevException(
                            Errno.EINVAL, what + "its driver may say why in the kernel's log", e);
            case ENOENT, ENODEV ->
                    new MdevException(
                            Errno.ENODEV, what + "parent=" + name + " or its type left", e);
            case EACCES, EPERM ->
                    new MdevException(e.errno(), what + "this service may not write there", e);
            default -> new MdevException(e.errno(), what + e.getMessage(), e);
        };
    }

    private String whoHas(UUID uuid) {
        return tree.parentOf(uuid)
                .map(parent -> "a device of parent=%s has this uuid".formatted(parent))
                .orElse(
                        "the former device of this uuid is still leaving, until the program that"
                                + " has it open closes it");
    }

    @Override
    public List<ExistingDevice> existing() {
        if (!tree.hasParent(name)) {
            throw new MdevException(
                    Errno.ENODEV, "parent=%s left the kernel's bus".formatted(name));
        }
        List<ExistingDevice> found = new ArrayList<>();
        tree.devices()
                .forEach((uuid, device) -> {
                    boolean isKnown =
                            types.stream().anyMatch(type -> type.id().equals(device.type()));
                    if (device.parent().equals(name) && isKnown && !owned.contains(uuid)) {
                        found.add(new ExistingDevice(uuid, device.type(), List.of()));
                    }
                });
        return found;
    }

    @Override
    public MdevDevice adopt(MdevContext context) {
        UUID uuid = context.uuid();
        if (isGone(uuid, context.type().id())) {
            throw new MdevException(Errno.ENODEV, "mdev=%s left the kernel's bus".formatted(uuid));
        }
        owned.add(uuid);
        return new KernelBusDevice(this, uuid, context.type().id());
    }

    @Override
    public Room room(MdevType type) {
        int available = tree.available(name, type.id());
        return new Room(
                available,
                "the kernel's driver reports available_instances=%d of type=%s on parent=%s, and %s; "
                                .formatted(available, type.id(), name, tree.inventory(name))
                        + "it hides what types share, so a device of another type may change the"
                        + " number");
    }

    @Override
    public Map<UUID, KernelNode> nodes() {
        VfioUsers users = VfioUsers.now(files, roots.procfs());
        Map<UUID, KernelNode> nodes = new LinkedHashMap<>();
        tree.devices()
                .forEach((uuid, device) -> {
                    if (device.parent().equals(name)) {
                        nodes.put(uuid, kernelNode(uuid, node(uuid, device.type()), users));
                    }
                });
        ending.forEach((uuid, node) -> nodes.put(uuid, kernelNode(uuid, node, users)));
        return nodes;
    }

    private Node node(UUID uuid, String type) {
        return new Node(deviceApi(type), tree.iommuGroup(uuid), tree.vfioDevices(uuid));
    }

    private String deviceApi(String type) {
        return types.stream()
                .filter(it -> it.id().equals(type))
                .map(MdevType::deviceApi)
                .findFirst()
                .orElse(MdevType.VFIO_PCI);
    }

    private KernelNode kernelNode(UUID uuid, Node node, VfioUsers users) {
        List<String> paths = new ArrayList<>();
        node.group.ifPresent(group -> paths.add(groupFile(group)));
        node.vfioDevices.forEach(it -> paths.add(roots.dev() + "/vfio/devices/" + it));
        return new KernelNode(
                tree.folder(uuid),
                node.deviceApi,
                node.group.isPresent() ? Optional.of(node.group.getAsInt()) : Optional.empty(),
                node.group.isPresent()
                        ? Optional.of(groupFile(node.group.getAsInt()))
                        : Optional.empty(),
                users.of(paths));
    }

    private String groupFile(int group) {
        return roots.dev() + "/vfio/" + group;
    }

    /// In words, how a program gets a device.
    String howToUse(UUID uuid) {
        OptionalInt group = tree.iommuGroup(uuid);
        return group.isPresent()
                ? "use it through " + groupFile(group.getAsInt())
                : "it has no IOMMU group";
    }

    /// Whether a device ended. Another program may have made another one of its uuid since.
    boolean isGone(UUID uuid, String type) {
        return !tree.device(uuid).equals(Optional.of(new KernelTree.Found(name, type)));
    }

    /// Ends a device, as soon as no program has it open. One that the kernel keeps is not this
    /// host's any more, and is seen as foreign.
    void end(UUID uuid, String type) {
        try {
            if (!isGone(uuid, type)) {
                ending.put(uuid, node(uuid, type));
                tree.remove(uuid);
            }
        } finally {
            ending.remove(uuid);
            owned.remove(uuid);
        }
    }
}
