package dev.mdev.core.x86;

import static dev.mdev.core.memslot.SlotFlags.SMRAM;
import static dev.mdev.core.memslot.SlotRequests.HVA;
import static dev.mdev.core.memslot.SlotRequests.errnoOf;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.page.Page;
import dev.mdev.core.guestmem.FakeHostMemory;
import dev.mdev.core.guestmem.GuestMemoryAccess;
import dev.mdev.core.guestmem.GuestMemoryCache;
import dev.mdev.core.guestmem.VcpuMemoryAccess;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.core.memslot.VcpuMemslots;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

import java.lang.foreign.MemorySegment;

/// The two designs of memory that only system management mode sees, on the case that decided
/// between them: at 0xa0000 an ordinary PC has its video memory, and SMRAM on top of it.
class SmmDesignsTest {
    private static final long LEGACY_VRAM_GFN = 0xa0;
    private static final long NPAGES = 0x20;
    private static final long HVA_OF_VRAM = HVA;
    private static final long HVA_OF_SMRAM = HVA + 0x5000_0000L;

    private final FakeHostMemory host = new FakeHostMemory();

    @Test
    void withAddressSpacesVideoMemoryIsUnderSmram() {
        Machine machine = new Machine(SlotConfig.x86());
        assertThat(machine.create(0, 0, HVA_OF_VRAM)).isNull();
        assertThat(machine.create(1 << 16, 0, HVA_OF_SMRAM)).isNull();

        assertThat(machine.guestWrites(1)).isTrue();
        machine.vcpu.setInSmm(true);
        assertThat(machine.guestWrites(2)).isTrue();
        assertThat(machine.machineWrites(3)).as("the machine, while a vCPU is in SMM").isTrue();

        assertThat(host.byteAt(HVA_OF_VRAM)).isEqualTo((byte) 3);
        assertThat(host.byteAt(HVA_OF_SMRAM)).isEqualTo((byte) 2);
    }

    @Test
    void withTheFlagNothingCanBeUnderSmram() {
        Machine machine = new Machine(SlotConfig.withSmramFlag());
        assertThat(machine.create(1, SMRAM, HVA_OF_SMRAM)).isNull();
        assertThat(machine.create(0, 0, HVA_OF_VRAM)).isEqualTo(Errno.EEXIST);

        assertThat(machine.guestWrites(1)).as("a hole outside of SMM").isFalse();
        assertThat(machine.spaces.find(LEGACY_VRAM_GFN)).isNull();
        machine.vcpu.setInSmm(true);
        assertThat(machine.guestWrites(2)).isTrue();
        assertThat(machine.machineWrites(3)).as("the machine never sees SMRAM").isFalse();
        machine.vcpu.setInSmm(false);
        assertThat(machine.vcpu.find(LEGACY_VRAM_GFN)).as("also when looked up before").isNull();

        assertThat(host.byteAt(HVA_OF_SMRAM)).isEqualTo((byte) 2);
    }

    @Test
    void withTheFlagOrdinaryMemoryIsRegisteredOnceAndWithAddressSpacesTwice() {
        Machine flagged = new Machine(SlotConfig.withSmramFlag());
        flagged.create(0, 0, HVA_OF_VRAM);
        flagged.vcpu.setInSmm(true);
        assertThat(flagged.guestWrites(1)).isTrue();

        Machine spaced = new Machine(SlotConfig.x86());
        spaced.create(0, 0, HVA_OF_VRAM);
        spaced.vcpu.setInSmm(true);
        assertThat(spaced.guestWrites(1)).as("nothing is inherited").isFalse();
        spaced.create(1 << 16, 0, HVA_OF_VRAM);
        assertThat(spaced.guestWrites(1)).isTrue();
    }

    @Test
    void aCacheOfTheMachineNeverPointsIntoFlaggedMemory() {
        Machine machine = new Machine(SlotConfig.withSmramFlag());
        machine.create(1, SMRAM, HVA_OF_SMRAM);
        GuestMemoryCache cache = new GuestMemoryCache(machine.spaces, host);
        assertThat(cache.init(Page.addressOf(LEGACY_VRAM_GFN), 8).isOk()).isFalse();
    }

    private final class Machine {
        final AddressSpaces spaces;
        final VcpuMemslots vcpu;

        Machine(SlotConfig config) {
            spaces = new AddressSpaces(config);
            vcpu = new VcpuMemslots(spaces, 0);
        }

        @Nullable Errno create(int slot, int flags, long hva) {
            host.mapPages(hva, NPAGES);
            return errnoOf(
                    spaces,
                    new UserMemoryRegion(
                            slot,
                            flags,
                            Page.addressOf(LEGACY_VRAM_GFN),
                            Page.addressOf(NPAGES),
                            hva));
        }

        boolean guestWrites(int value) {
            return new VcpuMemoryAccess(vcpu, host).write(gpa(), oneByte(value)).isOk();
        }

        boolean machineWrites(int value) {
            return new GuestMemoryAccess(spaces, host).write(gpa(), oneByte(value)).isOk();
        }

        private long gpa() {
            return Page.addressOf(LEGACY_VRAM_GFN);
        }

        private MemorySegment oneByte(int value) {
            return MemorySegment.ofArray(new byte[] {(byte) value});
        }
    }
}
