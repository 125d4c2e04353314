package dev.mdev.api.layout;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.page.PfnRange;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

/// A driver's description of a parent device, read once and checked.
///
/// @param name the answer of [ParentDevice#name]
/// @param description the answer of [ParentDevice#description]
/// @param aperture the pages of [ParentDevice#aperture]
/// @param pools the answer of [ParentDevice#pools]
/// @param types the answer of [ParentDevice#types]
public record ParentLayout(
        String name,
        String description,
        PfnRange aperture,
        List<ResourcePool> pools,
        List<MdevType> types) {
    /// The maximum number of characters of a text for people, such as a description.
    public static final int MAX_TEXT_CHARS = 256;

    /// The maximum number of pools.
    public static final int MAX_POOLS = 256;

    /// The maximum number of types.
    public static final int MAX_TYPES = 1024;

    private static final Pattern DRIVER_NAME = Pattern.compile("[a-z0-9-]{1,32}");
    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9.:_-]{1,64}");
    private static final Pattern POOL_NAME = Pattern.compile("[a-z0-9-]{1,32}");
    private static final Pattern TYPE_ID = Pattern.compile("[A-Za-z0-9._-]{1,64}");

    public ParentLayout {
        pools = List.copyOf(pools);
        types = List.copyOf(types);
    }

    /// Asks a parent device.
    ///
    /// @throws MdevException EINVAL if its description breaks a rule
    public static ParentLayout of(ParentDevice device) {
        ParentLayout layout =
                new ParentLayout(
                        device.name(),
                        device.description(),
                        device.aperture().pfns(),
                        device.pools(),
                        device.types());
        layout.check();
        return layout;
    }

    /// Whether this is a valid name of a driver.
    public static boolean isDriverName(String name) {
        return DRIVER_NAME.matcher(name).matches();
    }

    /// Whether this is a valid name of a parent.
    public static boolean isParentName(String name) {
        return NAME.matcher(name).matches();
    }

    /// @throws MdevException EINVAL, naming the first rule that is broken
    private void check() {
        require(isParentName(name), "not the name of a parent: name=%s", cut(name));
        requireText("description of parent=" + name, description);
        requireFew("pools", pools.size(), MAX_POOLS);
        requireFew("types", types.size(), MAX_TYPES);
        checkPools();
        Set<String> ids = new HashSet<>();
        for (MdevType type : types) {
            require(
                    TYPE_ID.matcher(type.id()).matches(),
                    "not the id of a type: parent=%s type=%s",
                    name,
                    cut(type.id()));
            require(ids.add(type.id()), "two types of one id: parent=%s type=%s", name, type.id());
            requireText("name of type=" + type.id(), type.name());
            requireText("description of type=" + type.id(), type.description());
            requireText("device API of type=" + type.id(), type.deviceApi());
            checkDemands(type);
            checkShared(type);
        }
    }

    private void requireFew(String what, int count, int most) {
        require(
                count <= most,
                "parent=%s has %d %s, at most %d are taken",
                name,
                count,
                what,
                most);
    }

    /// Checks this parent beside another one of the same host.
    ///
    /// @throws MdevException EINVAL if both have a page: each would give it to a device of its own
    public void requireApart(ParentLayout other) {
        require(
                !aperture.overlaps(other.aperture),
                "parent=%s has pages of parent=%s: %s %s",
                name,
                other.name,
                aperture,
                other.aperture);
    }

    /// The pools whose pages belong to no device, because a type shares them.
    public Set<String> sharedPools() {
        Set<String> shared = new HashSet<>();
        types.forEach(type -> shared.addAll(type.shared()));
        return shared;
    }

    /// The pages that all devices of a type may map, read-only.
    public List<PfnRange> sharedPages(MdevType type) {
        return pools.stream()
                .filter(pool -> type.shared().contains(pool.name()))
                .map(ResourcePool::pfns)
                .toList();
    }

    private void checkPools() {
        List<ResourcePool> seen = new ArrayList<>();
        for (ResourcePool pool : pools) {
            require(
                    POOL_NAME.matcher(pool.name()).matches(),
                    "not the name of a pool: parent=%s pool=%s",
                    name,
                    cut(pool.name()));
            for (ResourcePool other : seen) {
                require(
                        !other.name().equals(pool.name()),
                        "two pools have the same name: parent=%s pool=%s",
                        name,
                        pool.name());
                require(
                        !other.pfns().overlaps(pool.pfns()),
                        "pools overlap: parent=%s %s %s",
                        name,
                        other,
                        pool);
            }
            require(
                    aperture.contains(pool.pfns()),
                    "pool leaves the aperture: parent=%s aperture=%s %s",
                    name,
                    aperture,
                    pool);
            seen.add(pool);
        }
    }

    /// The host passes units from one device to another.
    private void checkUnits(MdevType.Demand demand) {
        for (MdevType other : types) {
            for (MdevType.Demand its : other.demands()) {
                require(
                        !its.isElastic()
                                || !its.pool().equals(demand.pool())
                                || its.alignPages() == demand.alignPages(),
                        "elastic demands on one pool have different units: parent=%s %s %s",
                        name,
                        demand,
                        its);
            }
        }
    }

    private void checkDemands(MdevType type) {
        Map<String, PfnRange> byName = new HashMap<>();
        pools.forEach(pool -> byName.put(pool.name(), pool.pfns()));
        Set<String> demanded = new HashSet<>();
        for (MdevType.Demand demand : type.demands()) {
            PfnRange pool = byName.get(demand.pool());
            require(
                    pool != null,
                    "type=%s demands pool=%s, which parent=%s has not",
                    type.id(),
                    cut(demand.pool()),
                    name);
            require(
                    demanded.add(demand.pool()),
                    "type=%s demands twice of pool=%s",
                    type.id(),
                    demand.pool());
            if (demand.isElastic()) {
                checkUnits(demand);
            }
        }
    }

    private void checkShared(MdevType type) {
        for (String pool : type.shared()) {
            require(
                    pools.stream().anyMatch(one -> one.name().equals(pool)),
                    "type=%s shares pool=%s, which parent=%s has not",
                    type.id(),
                    cut(pool),
                    name);
            for (MdevType other : types) {
                require(
                        other.demands().stream().noneMatch(demand -> demand.pool().equals(pool)),
                        "type=%s demands pages of pool=%s, which type=%s shares",
                        other.id(),
                        pool,
                        type.id());
            }
        }
    }

    /// @throws MdevException EINVAL if a text for people is missing or too long
    static void requireText(String what, @Nullable String text) {
        if (text == null) {
            throw new MdevException(Errno.EINVAL, what + " is missing");
        }
        require(
                text.length() <= MAX_TEXT_CHARS,
                "%s has %d characters, at most %d are taken",
                what,
                text.length(),
                MAX_TEXT_CHARS);
    }

    @SuppressWarnings(
            "AnnotateFormatMethod") // the annotation is of a library; this module has none
    private static void require(boolean holds, String message, Object... values) {
        if (!holds) {
            throw new MdevException(Errno.EINVAL, message.formatted(values));
        }
    }

    private static String cut(String text) {
        return text.length() <= 80 ? text : text.substring(0, 80) + "...";
    }
}
