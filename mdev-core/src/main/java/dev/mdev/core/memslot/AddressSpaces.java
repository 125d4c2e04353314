package dev.mdev.core.memslot;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.sync.Srcu;

import org.jspecify.annotations.Nullable;

import java.util.concurrent.locks.Lock;
import java.util.function.Consumer;

/// The memory slots of one virtual machine, in all its address spaces.
///
/// Readers take a section of [#srcu], then [#active], and use the result until they leave the
/// section. Changes run one at a time under one lock; a change returns after all readers of the old
/// slots have left. **A thread that changes slots inside a read section waits for itself forever.**
///
/// A deletion or a move takes two steps. First, the slot is published as INVALID: accesses to it
/// retry, accessors fail, and no reader takes it for absent memory. After all readers of the valid
/// slot have left, its mappings are dropped ([SlotListener#flush]), and then the slot is removed or
/// moved.
public final class AddressSpaces {
    private final SlotConfig config;
    private final RegionChecks checks;
    private final SlotPublisher publisher;
    private final SlotUpdater updater;
    private volatile DirtySink dirtySink = DirtySink.bitmaps();
    private volatile @Nullable String causeOfDeath;

    public AddressSpaces(SlotConfig config) {
        this.config = config;
        this.checks = new RegionChecks(config);
        this.publisher = new SlotPublisher(config.addressSpaces());
        this.updater = new SlotUpdater(checks, publisher);
    }

    /// The configuration of the machine.
    public SlotConfig config() {
        return config;
    }

    /// The published slots of an address space. Callers that use the slots for longer than a single
    /// check are in a section of [#srcu].
    ///
    /// @param asId 0 to [SlotConfig#addressSpaces] - 1
    public MemslotSet active(int asId) {
        return publisher.active(asId);
    }

    /// The slot of an id in any address space, or null.
    ///
    /// @param slotNumber `asId << 16 | id`, any value
    public @Nullable Memslot slotOf(int slotNumber) {
        int asId = UserMemoryRegion.asIdOf(slotNumber);
        int id = UserMemoryRegion.idOf(slotNumber);
        return asId < config.addressSpaces() && id < SlotIds.ALL_SLOTS
                ? active(asId).byId(id)
                : null;
    }

    /// The slot of the guest frame for callers other than vCPUs: in address space 0, and visible
    /// outside system management mode. Null if there is none. The slot may be INVALID.
    public @Nullable Memslot find(long gfn) {
        Memslot slot = active(0).find(gfn);
        return slot == null || slot.isHidden(false) ? null : slot;
    }

    /// The lock that readers of slots hold.
    public Srcu srcu() {
        return publisher.srcu();
    }

    /// The lock of every change of slots, and of every walk over all slots. Reentrant; never taken
    /// in a read section.
    public Lock slotsLock() {
        return updater.lock;
    }

    /// Adds a listener. It receives changes that begin after this returns.
    public void addListener(SlotListener listener) {
        updater.addListener(listener);
    }

    /// Sets where writes to logging slots are recorded from now on.
    public void setDirtySink(DirtySink sink) {
        dirtySink = sink;
    }

    /// Sets which bitmap a slot gets when it starts to log.
    public void setBitmapPolicy(BitmapPolicy policy) {
        updater.setBitmapPolicy(policy);
    }

    /// Records a write, if the slot logs (Linux `mark_page_dirty_in_slot`).
    ///
    /// @param vcpuId the vCPU that wrote, or [DirtySink#NO_VCPU]
    public void markDirty(Memslot slot, long gfn, int vcpuId) {
        if (slot.logsDirty()) {
            dirtySink.mark(slot, slot.pageIndexOf(gfn), vcpuId);
        }
    }

    /// Asks the listeners to mark the writes that they know of in a slot's log. The caller holds
    /// the slots lock.
    public void beforeHarvest(Memslot slot) {
        updater.lock.lock();
        try {
            updater.beforeHarvest(slot);
        } finally {
            updater.lock.unlock();
        }
    }

    /// Slots that log, in all address spaces.
    public int loggingSlots() {
        return updater.loggingSlots();
    }

    /// Pages of all slots, in all address spaces.
    public long totalPages() {
        return updater.totalPages();
    }

    /// Announces that host memory is about to be unmapped. Until the matching [#invalidateEnd], no
    /// slot set is published: changes of slots wait.
    public void invalidateBegin() {
        publisher.invalidations().begin();
    }

    /// Announces the end of an invalidation.
    ///
    /// @throws IllegalStateException if no invalidation is running
    public void invalidateEnd() {
        publisher.invalidations().end();
    }

    /// Calls `action` for each slot, in any address space, whose host memory overlaps the range.
    public void forEachIn(HvaRange hvas, Consumer<Memslot> action) {
        for (int asId = 0; asId < config.addressSpaces(); asId++) {
            active(asId).forEachIn(hvas, action);
        }
    }

    /// Gives up the machine after a failure that the guest cannot survive (Linux `kvm_vm_dead`):
    /// every later request of the VMM fails with EIO.
    public void kill(String cause) {
        causeOfDeath = cause;
    }

    /// Whether the machine has been given up.
    public boolean isDead() {
        return causeOfDeath != null;
    }

    /// The first step of every request of a VMM.
    ///
    /// @throws MdevException EIO if the machine has been given up
    public void requireAlive() {
        String cause = causeOfDeath;
        if (cause != null) {
            throw new MdevException(Errno.EIO, "the machine is dead: " + cause);
        }
    }

    /// Creates, deletes or moves a slot, or changes whether it logs (`KVM_SET_USER_MEMORY_REGION`).
    /// Returns after all readers of the old slot have left. Must not be called in a read section.
    ///
    /// @throws MdevException EIO, EINVAL, EEXIST or ENOMEM as in Linux, or the error of a listener
    ///   that refused. The slot is then as before; but after a refused deletion or move, its
    ///   mappings are gone and the generation has advanced
    public void setUserMemoryRegion(UserMemoryRegion region) {
        requireAlive();
        checks.checkFromVmm(region);
        updater.set(region);
    }

    /// Creates or deletes a slot of the machine's own.
    ///
    /// @param region with an id from [SlotIds#USER_SLOTS] on, and no flags
    public void setInternalMemoryRegion(UserMemoryRegion region) {
        RegionChecks.require(
                UserMemoryRegion.idOf(region.slot()) >= SlotIds.USER_SLOTS && region.flags() == 0,
                region,
                "not a slot of the machine's own");
        updater.set(region);
    }
}
