package dev.mdev.core.elastic;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// What [ElasticPool] is to do for units of one page and without a minimum stay: one step after the
/// other, with lists that are searched from the start.
final class ReferencePool {
    private static final int BATCH = 16;
    int free;
    private final List<Device> devices = new ArrayList<>();

    ReferencePool(int units) {
        free = units;
    }

    final class Device {
        final int min;
        final int max;
        int held;
        int spares;
        private final List<Integer> queue = new ArrayList<>();
        private final Set<Integer> referenced = new HashSet<>();
        private final Set<Integer> resident = new HashSet<>();
        private final Set<Integer> stored = new HashSet<>();
        private final Map<Integer, Long> values = new HashMap<>();
        private final Map<Integer, Integer> pins = new HashMap<>();

        Device(int min, int max) {
            this.min = min;
            this.max = max;
            held = min;
            spares = min;
        }

        boolean isResident(int page) {
            return resident.contains(page);
        }

        boolean isStoredOrResident(int page) {
            return resident.contains(page) || stored.contains(page);
        }

        int storedPages() {
            return stored.size();
        }

        long valueOf(int page) {
            return values.getOrDefault(page, 0L);
        }

        long exchange(int page, long value) {
            Long old = values.put(page, value);
            return old == null ? 0 : old;
        }

        int pinned() {
            return pins.values().stream().mapToInt(Integer::intValue).sum();
        }

        void pin(int page) {
            pins.merge(page, 1, Integer::sum);
        }

        void unpin(int page) {
            pins.computeIfPresent(page, (_, count) -> count == 1 ? null : count - 1);
        }

        int surplus() {
            return held - min;
        }

        void require(int page) {
            if (!resident.contains(page)) {
                while (spares == 0) {
                    makeRoomFor(this);
                }
                spares--;
                stored.remove(page);
                resident.add(page);
                if (!queue.contains(page)) {
                    queue.add(page);
                }
            }
            referenced.add(page);
        }

        List<Integer> sweep(int most) {
            List<Integer> victims = new ArrayList<>();
            List<Integer> aged = new ArrayList<>();
            int steps = queue.size();
            while (steps-- > 0 && victims.size() < most && aged.size() < 4 * most) {
                int page = queue.removeFirst();
                if (!resident.contains(page)) {
                    continue;
                }
                if (pins.containsKey(page)) {
                    queue.add(page);
                } else if (referenced.remove(page)) {
                    aged.add(page);
                    queue.add(page);
                } else {
                    victims.add(page);
                }
            }
            while (victims.size() < most && !aged.isEmpty()) {
                victims.add(aged.removeFirst());
            }
            return victims;
        }

        void evict(List<Integer> victims) {
            for (int page : victims) {
                resident.remove(page);
                if (valueOf(page) != 0) {
                    stored.add(page);
                }
            }
        }

        void discard(int first, int npages) {
            for (int page = first; page < first + npages; page++) {
                values.remove(page);
                stored.remove(page);
                if (resident.contains(page) && !pins.containsKey(page)) {
                    resident.remove(page);
                    spares++;
                }
            }
            while (spares > 0 && held > min) {
                spares--;
                held--;
                free++;
            }
        }

        private boolean isRicher(int its, Device other, int others) {
            return (long) its * other.min > (long) others * min;
        }
    }

    Device create(int min, int max) {
        Device device = new Device(min, max);
        free -= min;
        devices.add(device);
        return device;
    }

    void end(Device device) {
        devices.remove(device);
        free += device.held;
    }

    private List<Device> byWealth() {
        List<Device> sorted = new ArrayList<>(devices);
        sorted.sort((a, b) -> {
            if (a.isRicher(a.surplus(), b, b.surplus())) {
                return -1;
            }
            return b.isRicher(b.surplus(), a, a.surplus()) ? 1 : 0;
        });
        return sorted;
    }

    private void makeRoomFor(Device who) {
        int room = who.max - who.held;
        int borrowed = Math.min(free, Math.min(room, Math.clamp(who.held / 8, BATCH, 1024)));
        if (borrowed > 0) {
            free -= borrowed;
            who.held += borrowed;
            who.spares += borrowed;
            return;
        }
        int own = who.surplus() + 1;
        for (Device other : byWealth()) {
            if (other != who && other.surplus() > 0 && other.isRicher(other.surplus(), who, own)) {
                int taken = take(other, room);
                if (taken > 0) {
                    who.held += taken;
                    who.spares += taken;
                    return;
                }
            }
        }
        List<Integer> victims = who.sweep(Math.clamp(who.held / 4, 1, BATCH));
        who.evict(victims);
        who.spares += victims.size();
    }

    private static int take(Device from, int room) {
        int surplus = from.surplus();
        int most = Math.min(Math.min(room, surplus), Math.clamp(surplus / 2, 1, BATCH));
        if (most <= 0) {
            return 0;
        }
        int taken;
        if (from.spares > 0) {
            taken = Math.min(most, from.spares);
            from.spares -= taken;
        } else {
            List<Integer> victims = from.sweep(most);
            from.evict(victims);
            taken = victims.size();
        }
        from.held -= taken;
        return taken;
    }

    int makeFree(int wanted) {
        int freed = 0;
        while (freed < wanted) {
            int taken = 0;
            for (Device device : byWealth()) {
                if (device.surplus() > 0) {
                    taken = take(device, Integer.MAX_VALUE);
                    if (taken > 0) {
                        break;
                    }
                }
            }
            if (taken == 0) {
                break;
            }
            freed += taken;
        }
        free += freed;
        return freed;
    }
}
