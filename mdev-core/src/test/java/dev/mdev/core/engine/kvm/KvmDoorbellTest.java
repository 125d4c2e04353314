package dev.mdev.core.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.engine.DoorbellContract;
import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.EngineProbe;
import dev.mdev.core.engine.GuestEngine;
import dev.mdev.core.engine.kvm.mm.MemfdMemory;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.SmmDesign;

import org.jspecify.annotations.Nullable;

import java.util.Objects;
import java.util.Optional;

/// The kernel has the doorbells: their stores do not leave the guest.
@RealKvm
class KvmDoorbellTest extends DoorbellContract {
    private @Nullable KvmGuest guest;

    @Override
    protected Engine engine() {
        KvmEngine kvm = new KvmEngine(DEADLINE);
        return new Engine() {
            @Override
            public String name() {
                return kvm.name();
            }

            @Override
            public EngineProbe probe() {
                return kvm.probe();
            }

            @Override
            public int physicalAddressBits() {
                return kvm.physicalAddressBits();
            }

            @Override
            public Optional<String> lacksSmm(SmmDesign design) {
                return kvm.lacksSmm(design);
            }

            @Override
            public GuestEngine createGuest(AddressSpaces slots, HostMemory memory) {
                guest = kvm.createGuest(slots, memory);
                return guest;
            }
        };
    }

    @Override
    protected HostMemory newMemory() {
        return new HostMemory(new MemfdMemory());
    }

    @Override
    protected void assertCaught(int doorbells) {
        KvmDoorbells caught = Objects.requireNonNull(guest).doorbells();
        assertThat(caught.assigned()).isEqualTo(doorbells);
        if (doorbells > 0) {
            assertThat(caught.rings()).isPositive();
        }
    }
}
