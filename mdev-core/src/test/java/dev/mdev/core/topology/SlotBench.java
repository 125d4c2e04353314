package dev.mdev.core.topology;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.UserMemoryRegion;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;

/// A port that carries requests out on real address spaces, writes them down, and can refuse one.
final class SlotBench implements SlotPort, VcpuPause {
    static final int NEVER = -1;

    final AddressSpaces slots = new AddressSpaces(SlotConfig.x86());
    final List<String> requests = new ArrayList<>();

    /// Called after each request while the vCPUs run.
    Runnable whileRunning = () -> {};

    /// How many requests pass before one is refused.
    int refuseAfter = NEVER;

    boolean held;
    int holds;

    @Override
    public void set(UserMemoryRegion region) {
        if (refuseAfter == 0) {
            refuseAfter = NEVER;
            throw new MdevException(Errno.ENOMEM, "asked to refuse");
        }
        if (refuseAfter > 0) {
            refuseAfter--;
        }
        requests.add(verbOf(region) + " " + region);
        slots.setUserMemoryRegion(region);
        if (!held) {
            whileRunning.run();
        }
    }

    @Override
    public void collectDirty(UserMemoryRegion slot) {
        assertThat(held).isTrue();
        assertThat(slots.slotOf(slot.slot())).isNotNull();
        requests.add("collect slot=0x%x".formatted(slot.slot()));
    }

    @Override
    public Hold hold() {
        assertThat(held).isFalse();
        held = true;
        holds++;
        requests.add("hold");
        return () -> {
            held = false;
            requests.add("release");
        };
    }

    /// The requests since the last call, the numbers left out.
    List<String> verbs() {
        List<String> verbs =
                requests.stream().map(request -> request.replaceAll(" .*", "")).toList();
        requests.clear();
        return verbs;
    }

    private String verbOf(UserMemoryRegion region) {
        @Nullable Memslot old = slots.slotOf(region.slot());
        if (old == null) {
            return "create";
        }
        if (region.sizeBytes() == 0) {
            return "delete";
        }
        return old.region().gpa() == region.gpa() ? "flags" : "move";
    }
}
