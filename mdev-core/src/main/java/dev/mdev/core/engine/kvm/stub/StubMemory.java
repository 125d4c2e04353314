package dev.mdev.core.engine.kvm.stub;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.engine.kvm.kernel.KvmVm;
import dev.mdev.core.engine.kvm.mm.FileMapping;
import dev.mdev.core.memslot.SlotIds;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.core.sys.Syscalls;

import java.lang.foreign.ValueLayout;

/// The memory of one virtual processor's own program, in a slot that no guest access reaches.
///
/// ```
/// gpa  +0         code                       (GuestStub)
///      +4 KiB     mailbox                    (what to do next)
///      +8 KiB     values of loads            (VALUES of 8 bytes)
///      +40 KiB    page tables                (a root, then tables as they are needed)
///      +4 MiB     end of the slot
///      +8 MiB     doorbell                   (no memory: a store there leaves the guest)
///      +16 MiB    the next processor's
/// ```
///
/// The windows of all processors are in the last GiB of the stub's guest-physical addresses; the
/// kernel refuses a slot of the VMM there with EEXIST. Slot ids are taken from the highest
/// downwards. In a machine with system management mode the slot is in both address spaces.
///
/// ## Guest page tables
///
/// The program runs with 4-level paging and 2 MiB pages, which all processors have. Every gpa below
/// [#limitGpa] is visible twice: at the same virtual address without write permission, for loads,
/// and [#STORE_ALIAS] above it, for stores. A load then never makes a page writable, which with
/// shadow paging would count as dirtying it. Both views share all tables below the root: the root's
/// entry lacks the permission.
///
/// A present table entry never changes; the accessed and dirty bits are set from the beginning. So
/// guest TLBs and shadow pages of the kernel are never stale. When the room for tables is used up,
/// the slot is deleted and created again, which drops everything derived from it.
public final class StubMemory implements AutoCloseable {
    /// The maximum number of virtual processors.
    static final int MAX_VCPUS = 64;

    /// The number of loads whose values fit the mailbox.
    static final int VALUES = 4096;

    /// The offset from a gpa to its address for stores.
    static final long STORE_ALIAS = 1L << 46;

    private static final int ALIAS_BITS = 46;
    private static final long WINDOW_BYTES = 16L << 20;
    private static final long SLOT_BYTES = 4L << 20;
    private static final long DOORBELL = 8L << 20;
    private static final long GIB = 1L << 30;

    private static final long MAILBOX = Page.SIZE;
    private static final long VALUES_AT = 2L * Page.SIZE;
    private static final long ROOT = VALUES_AT + VALUES * (long) Long.BYTES;
    private static final long FIRST_TABLE = ROOT + Page.SIZE;

    private static final int ENTRIES = 512;
    private static final long PRESENT = 1;
    private static final long WRITABLE = 1 << 1;
    private static final long USER = 1 << 2;
    private static final long ACCESSED = 1 << 5;
    private static final long DIRTY = 1 << 6;
    private static final long LARGE = 1 << 7;
    private static final long TABLE = PRESENT | WRITABLE | USER | ACCESSED;
    private static final long LEAF = TABLE | DIRTY | LARGE;
    private static final long FRAME = ~(Page.SIZE - 1L) & ((1L << 52) - 1);

    private final KvmVm vm;
    private final long limitGpa;
    private final long windowGpa;
    private final int addressSpaces;
    private final UserMemoryRegion slot;
    private final FileMapping memory;
    private long nextTable;

    /// @param addressSpaces in how many address spaces, from the first one on, the program runs
    StubMemory(KvmVm vm, GuestStub stub, int vcpuId, int addressSpaces) {
        if (vcpuId < 0 || vcpuId >= MAX_VCPUS) {
            throw new MdevException(
                    Errno.EINVAL, "vcpuId=%d limit=%d".formatted(vcpuId, MAX_VCPUS));
        }
        this.vm = vm;
        this.addressSpaces = addressSpaces;
        limitGpa = limitGpa(vm);
        windowGpa = limitGpa + vcpuId * WINDOW_BYTES;
        Syscalls sys = vm.sys();
        memory = FileMapping.of(sys, sys.memfd("vcpu" + vcpuId + "-stub", SLOT_BYTES), SLOT_BYTES);
        try {
            slot =
                    new UserMemoryRegion(
                            SlotIds.USER_SLOTS - 1 - vcpuId,
                            0,
                            windowGpa,
                            SLOT_BYTES,
                            memory.segment().address());
            stub.copyTo(memory.segment());
            clearTables();
            show();
        } catch (RuntimeException | Error e) {
            memory.release();
            throw e;
        }
    }

    /// The first gpa out of reach for accesses of a machine's guests.
    public static long limitGpa(KvmVm vm) {
        return (1L << Math.min(ALIAS_BITS, vm.physicalAddressBits())) - GIB;
    }

    /// The lowest slot id that a virtual processor may take for itself.
    public static int firstSlotId() {
        return SlotIds.USER_SLOTS - MAX_VCPUS;
    }

    /// The start of the code, for rip.
    long codeGpa() {
        return windowGpa;
    }

    /// The address at which a store leaves the guest.
    long doorbellGpa() {
        return windowGpa + DOORBELL;
    }

    /// The doorbell, for rbp.
    long doorbellAddress() {
        return doorbellGpa() + STORE_ALIAS;
    }

    /// The mailbox, for rbx.
    long mailboxAddress() {
        return windowGpa + MAILBOX + STORE_ALIAS;
    }

    /// The place where the guest stores loaded values.
    long valuesAddress() {
        return windowGpa + VALUES_AT + STORE_ALIAS;
    }

    /// The root of the page tables, for cr3.
    long rootGpa() {
        return windowGpa + ROOT;
    }

    /// The virtual address that an access uses.
    static long addressOf(long gpa, Access access) {
        return access == Access.READ ? gpa : gpa + STORE_ALIAS;
    }

    /// Writes a field of the mailbox.
    void setMailbox(int field, long value) {
        memory.segment().set(ValueLayout.JAVA_LONG, MAILBOX + field, value);
    }

    /// A value that the guest loaded.
    long value(long index) {
        return memory.segment().get(ValueLayout.JAVA_LONG, VALUES_AT + index * Long.BYTES);
    }

    /// Makes the GiB around a gpa visible to the guest.
    ///
    /// @return false if there was no room: then this GiB is visible, and no earlier one is
    boolean makeVisible(long gpa) {
        if (tryMakeVisible(gpa)) {
            return true;
        }
        for (int asId = 0; asId < addressSpaces; asId++) {
            vm.setUserMemoryRegion(UserMemoryRegion.deletionOf(slotNumber(asId)));
        }
        clearTables();
        show();
        if (!tryMakeVisible(gpa)) {
            throw new IllegalStateException("no room for three page tables");
        }
        return false;
    }

    private void show() {
        for (int asId = 0; asId < addressSpaces; asId++) {
            vm.setUserMemoryRegion(
                    new UserMemoryRegion(
                            slotNumber(asId),
                            slot.flags(),
                            slot.gpa(),
                            slot.sizeBytes(),
                            slot.hva()));
        }
    }

    private int slotNumber(int asId) {
        return UserMemoryRegion.slotNumber(asId, slot.slot());
    }

    private boolean tryMakeVisible(long gpa) {
        long upper = entryAt(ROOT, rootIndex(gpa));
        long upperTable = memory.segment().get(ValueLayout.JAVA_LONG, upper);
        long middle =
                upperTable == 0 ? 0 : entryAt((upperTable & FRAME) - windowGpa, middleIndex(gpa));
        if (middle != 0 && memory.segment().get(ValueLayout.JAVA_LONG, middle) != 0) {
            return true;
        }
        if (nextTable + 2 * Page.SIZE > SLOT_BYTES) {
            return false;
        }
        if (middle == 0) {
            long table = newTable();
            setEntry(upper, (windowGpa + table) | (TABLE & ~WRITABLE));
            setEntry(entryAt(ROOT, rootIndex(gpa + STORE_ALIAS)), (windowGpa + table) | TABLE);
            middle = entryAt(table, middleIndex(gpa));
        }
        long leaves = newTable();
        long base = gpa & -GIB;
        for (int i = 0; i < ENTRIES; i++) {
            setEntry(entryAt(leaves, i), (base + (long) i * (GIB / ENTRIES)) | LEAF);
        }
        setEntry(middle, (windowGpa + leaves) | TABLE);
        return true;
    }

    private void clearTables() {
        if (!memory.clear(ROOT, SLOT_BYTES - ROOT)) {
            throw new MdevException(Errno.EIO, "page tables do not read as zero: slot=" + slot);
        }
        nextTable = FIRST_TABLE;
        if (!tryMakeVisible(windowGpa)) {
            throw new IllegalStateException("no room for the first page tables");
        }
    }

    private long newTable() {
        long table = nextTable;
        nextTable += Page.SIZE;
        return table;
    }

    private void setEntry(long at, long value) {
        memory.segment().set(ValueLayout.JAVA_LONG, at, value);
    }

    private static long entryAt(long table, int index) {
        return table + (long) index * Long.BYTES;
    }

    private static int rootIndex(long address) {
        return (int) (address >>> 39) & (ENTRIES - 1);
    }

    private static int middleIndex(long address) {
        return (int) (address >>> 30) & (ENTRIES - 1);
    }

    @Override
    public void close() {
        for (int asId = 0; asId < addressSpaces; asId++) {
            vm.deleteSlotUnlessClosed(slotNumber(asId));
        }
        memory.release();
    }
}
