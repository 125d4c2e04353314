package dev.mdev.core.x86;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.guestmem.HostMemoryAccess;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotIds;
import dev.mdev.core.memslot.UserMemoryRegion;

import org.jspecify.annotations.Nullable;

import java.util.concurrent.locks.ReentrantLock;

/// The slots that a machine installs for itself: task state segment, identity map and APIC access
/// page. Each exists in every address space, over the same host memory (Linux
/// `__x86_set_memory_region`, `vmx_set_tss_addr`, `kvm_alloc_apic_access_page`).
///
/// They never log: no VMM can read their log, and their content can be created again. For the same
/// reason the host writes their content directly through host memory: a write through the slot
/// would have to be attributed to a vCPU.
///
/// Any thread may call, outside every read section. A conflicting slot of the VMM is EEXIST. If the
/// conflict is in a later address space only, the slots in the earlier ones stay, as in Linux.
public final class InternalSlots implements AutoCloseable {
    /// The default place of the identity map.
    public static final long DEFAULT_IDENTITY_MAP_GPA = 0xfffb_c000L;

    /// Where every processor has its APIC after reset.
    public static final long APIC_ACCESS_GPA = 0xfee0_0000L;

    private static final int TSS_PAGES = 3;

    /// The highest place at which three pages end below 4 GiB.
    private static final long MAX_TSS_GPA = 0xffff_d000L;

    private final AddressSpaces spaces;
    private final VendorModel vendor;
    private final InternalMemory memory;
    private final RealModePages pages;

    /// Taken outside the slots lock (Linux `kvm->lock`).
    private final ReentrantLock machineLock = new ReentrantLock();

    @GuardedBy("machineLock")
    private int createdVcpus;

    @GuardedBy("machineLock")
    private long identityMapGpa;

    @GuardedBy("machineLock")
    private boolean identityMapDone;

    @GuardedBy("machineLock")
    private boolean apicPageInstalled;

    @GuardedBy("machineLock")
    private boolean apicPageInhibited;

    public InternalSlots(
            AddressSpaces spaces,
            VendorModel vendor,
            InternalMemory memory,
            HostMemoryAccess host) {
        this.spaces = spaces;
        this.vendor = vendor;
        this.memory = memory;
        this.pages = new RealModePages(host);
    }

    /// Places the task state segment (`KVM_SET_TSS_ADDR`). A processor without need for one accepts
    /// any address below the limit, any number of times.
    ///
    /// @param gpa at most 0xffffd000
    /// @throws MdevException EIO, EINVAL, ENOMEM; EEXIST if it is already placed, or a slot
    ///   conflicts
    public void setTssAddress(long gpa) {
        spaces.requireAlive();
        if (Long.compareUnsigned(gpa, MAX_TSS_GPA) > 0) {
            throw new MdevException(Errno.EINVAL, "tssGpa=0x%x".formatted(gpa));
        }
        if (!vendor.helpsRealMode()) {
            return;
        }
        machineLock.lock();
        try {
            pages.writeTss(install(SlotIds.TSS, gpa, TSS_PAGES));
        } finally {
            machineLock.unlock();
        }
    }

    /// Sets the place of the identity map (`KVM_SET_IDENTITY_MAP_ADDR`); the last call before the
    /// first vCPU counts.
    ///
    /// @param gpa 0 for [#DEFAULT_IDENTITY_MAP_GPA]; checked when the map is installed
    /// @throws MdevException EIO; EINVAL after the first vCPU
    public void setIdentityMapAddress(long gpa) {
        spaces.requireAlive();
        machineLock.lock();
        try {
            if (createdVcpus != 0) {
                throw new MdevException(
                        Errno.EINVAL,
                        "identityMapGpa=0x%x createdVcpus=%d".formatted(gpa, createdVcpus));
            }
            identityMapGpa = gpa;
        } finally {
            machineLock.unlock();
        }
    }

    /// Installs the slots that a vCPU needs, unless an earlier vCPU already needed them.
    ///
    /// @param apicInKernel whether the vCPU's APIC is this machine's, not the VMM's
    /// @throws MdevException EIO, EINVAL, EEXIST, ENOMEM or EFAULT: the vCPU cannot be created
    public void addVcpu(boolean apicInKernel) {
        spaces.requireAlive();
        machineLock.lock();
        try {
            if (apicInKernel && vendor.hasApicAccessPage()) {
                installApicPage();
            }
            if (vendor.helpsRealMode()) {
                installIdentityMap();
            }
            createdVcpus++;
        } finally {
            machineLock.unlock();
        }
    }

    /// Removes the APIC access page permanently: a vCPU uses its APIC in a way that the page would
    /// hide (Linux `kvm_inhibit_apic_access_page`).
    public void inhibitApicPage() {
        machineLock.lock();
        try {
            if (apicPageInstalled) {
                remove(SlotIds.APIC_ACCESS_PAGE);
                apicPageInstalled = false;
                apicPageInhibited = true;
            }
        } finally {
            machineLock.unlock();
        }
    }

    /// Whether the APIC access page is installed.
    public boolean hasApicPage() {
        machineLock.lock();
        try {
            return apicPageInstalled;
        } finally {
            machineLock.unlock();
        }
    }

    /// Removes all slots of the machine's own, after the machine's last run.
    @Override
    public void close() {
        machineLock.lock();
        try {
            remove(SlotIds.TSS);
            remove(SlotIds.IDENTITY_MAP);
            remove(SlotIds.APIC_ACCESS_PAGE);
            apicPageInstalled = false;
        } finally {
            machineLock.unlock();
        }
    }

    @GuardedBy("machineLock")
    private void installApicPage() {
        if (!apicPageInstalled && !apicPageInhibited) {
            install(SlotIds.APIC_ACCESS_PAGE, APIC_ACCESS_GPA, 1);
            apicPageInstalled = true;
        }
    }

    @GuardedBy("machineLock")
    private void installIdentityMap() {
        if (!identityMapDone) {
            long gpa = identityMapGpa != 0 ? identityMapGpa : DEFAULT_IDENTITY_MAP_GPA;
            pages.writeIdentityMap(install(SlotIds.IDENTITY_MAP, gpa, 1));
            identityMapDone = true;
        }
    }

    /// Installs a slot in every address space, over new host memory.
    ///
    /// @return the hva of that memory
    private long install(int id, long gpa, long npages) {
        if (spaces.slotOf(id) != null) {
            throw new MdevException(
                    Errno.EEXIST, "already installed: %s".formatted(spaces.slotOf(id)));
        }
        long sizeBytes = Page.bytesOf(npages);
        long hva = memory.map(sizeBytes);
        try {
            for (int asId = 0; asId < spaces.config().addressSpaces(); asId++) {
                int slot = UserMemoryRegion.slotNumber(asId, id);
                spaces.setInternalMemoryRegion(new UserMemoryRegion(slot, 0, gpa, sizeBytes, hva));
            }
            return hva;
        } catch (MdevException refusal) {
            if (spaces.slotOf(id) == null) {
                memory.unmap(hva, sizeBytes);
            }
            throw refusal;
        }
    }

    private void remove(int id) {
        @Nullable Memslot installed = spaces.slotOf(id);
        if (installed == null) {
            return;
        }
        for (int asId = 0; asId < spaces.config().addressSpaces(); asId++) {
            int slot = UserMemoryRegion.slotNumber(asId, id);
            if (spaces.slotOf(slot) != null) {
                spaces.setInternalMemoryRegion(UserMemoryRegion.deletionOf(slot));
            }
        }
        memory.unmap(installed.hva(), Page.bytesOf(installed.npages()));
    }
}
