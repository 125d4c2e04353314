package dev.mdev.core.guestmem;

import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.DirtySink;
import dev.mdev.core.memslot.Memslot;

import org.jspecify.annotations.Nullable;

/// Guest memory as the machine itself sees it, independent of the vCPUs' modes: address space 0
/// without the memory that only system management mode sees (Linux `kvm_read_guest`,
/// `kvm_write_guest`). Devices and paravirtual clocks use it. Any thread may call.
public final class GuestMemoryAccess extends SlotAccessor {
    private final AddressSpaces spaces;

    public GuestMemoryAccess(AddressSpaces spaces, HostMemoryAccess host) {
        super(spaces, host, DirtySink.NO_VCPU);
        this.spaces = spaces;
    }

    @Override
    @Nullable Memslot find(long gfn) {
        return spaces.find(gfn);
    }
}
