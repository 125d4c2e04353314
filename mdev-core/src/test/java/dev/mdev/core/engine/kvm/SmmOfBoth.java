package dev.mdev.core.engine.kvm;

import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.engine.software.SoftwareVcpu;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.x86.SmmState;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HashSet;
import java.util.Objects;
import java.util.Set;
import java.util.function.Supplier;

/// System management mode in the kernel and in our model side by side.
final class SmmOfBoth {
    private final Agreement agreement;
    private final KvmOracle kernel;
    private final Model model;

    /// Whether a full ring keeps an interrupt away.
    private boolean waits;

    /// Offsets in guest memory of the saved state of the last entry.
    private final Set<Long> saved = new HashSet<>();

    private int entries;

    /// @param hva where the model's slots show the start of its memory
    record Model(AddressSpaces slots, SoftwareVcpu vcpu, MemorySegment memory, long hva) {
        boolean isDead() {
            return slots.isDead();
        }

        private @Nullable Memslot slotAt(long gpa) {
            return vcpu.memslots().find(Page.numberOf(gpa));
        }

        /// The place in guest memory behind an address of the processor, which has a slot.
        private long offsetOf(long gpa) {
            Memslot slot = Objects.requireNonNull(slotAt(gpa));
            return slot.hvaOf(Page.numberOf(gpa)) - hva + Page.offsetOf(gpa);
        }
    }

    SmmOfBoth(Agreement agreement, KvmOracle kernel, Model model) {
        this.agreement = agreement;
        this.kernel = kernel;
        this.model = model;
    }

    /// How often the mode was entered.
    int entries() {
        return entries;
    }

    boolean isInside() {
        return model.vcpu.isInSmm();
    }

    /// Whether a full ring keeps an interrupt away.
    boolean isWaiting() {
        return waits;
    }

    long smbase() {
        return model.vcpu.smm().smbase();
    }

    void setSmbase(long smbase) {
        kernel.smm().setSmbase(smbase);
        model.vcpu.setSmbase(smbase);
        agreement.note("smbase=0x%x".formatted(smbase));
    }

    /// A system management interrupt. The saved registers differ, since the programs do: what the
    /// model saved is then replaced by what the kernel saved.
    void smi() {
        boolean before = isInside();
        String theirs = outcome(kernel.smm()::smi);
        agreement.check("smi", outcome(model.vcpu::smi), theirs);
        waits = theirs.equals("ring full");
        compareMode(!before && isInside());
    }

    /// Delivers an interrupt that a full ring kept away.
    void deliver() {
        if (waits) {
            model.vcpu.submit(new GuestAccess.Store(new GuestAccess.Span(0, 1, 0, 0), 0, 0));
            String theirs = outcome(kernel.smm()::deliver);
            agreement.check("smi, again", outcome(model.vcpu::run), theirs);
            waits = theirs.equals("ring full");
            compareMode(!waits);
        }
    }

    /// An RSM instruction.
    void rsm() {
        deliver();
        String theirs = outcome(kernel.smm()::rsm);
        agreement.check("rsm", outcome(model.vcpu::rsm), theirs);
        compareMode(isInside() && theirs.equals("done"));
    }

    /// Whether a store would change the saved registers.
    boolean hitsSavedState(long gpa, int width) {
        for (int i = 0; i < width; i++) {
            if (model.slotAt(gpa + i) != null && saved.contains(model.offsetOf(gpa + i))) {
                return true;
            }
        }
        return false;
    }

    private void compareMode(boolean entered) {
        agreement.check("is in smm", isInside(), kernel.smm().isInSmm());
        if (!model.isDead()) {
            agreement.check("smbase", smbase(), kernel.smbase());
        }
        if (entered) {
            takeState();
            entries += model.isDead() ? 0 : 1;
        }
    }

    private void takeState() {
        saved.clear();
        long state = smbase() + SmmState.OFFSET_FROM_SMBASE;
        for (int i = 0; i < SmmState.SIZE_BYTES; i++) {
            long offset = placeToSave(state + i);
            if (offset < 0) {
                // The entry has saved the part before, and then the machine died.
                agreement.check("is dead", model.isDead(), true);
                break;
            }
            saved.add(offset);
            byte theirs = kernel.memory().get(ValueLayout.JAVA_BYTE, offset);
            boolean known = i / Integer.BYTES == 0xfc / 4 || i / Integer.BYTES == 0x100 / 4;
            if (known) {
                byte ours = model.memory.get(ValueLayout.JAVA_BYTE, offset);
                agreement.check("saved byte " + i, ours, theirs);
            }
            model.memory.set(ValueLayout.JAVA_BYTE, offset, theirs);
        }
    }

    /// The place in guest memory that the processor writes at an address, or -1: it has no slot, or
    /// one that cannot be written, or one without memory behind it.
    private long placeToSave(long gpa) {
        Memslot slot = model.slotAt(gpa);
        if (slot == null || slot.isReadonly()) {
            return -1;
        }
        long offset = model.offsetOf(gpa);
        return offset < model.memory.byteSize() ? offset : -1;
    }

    private static String outcome(Supplier<VcpuExit> action) {
        try {
            return switch (action.get()) {
                case VcpuExit.Done _ -> "done";
                case VcpuExit.DirtyRingFull _ -> "ring full";
                case VcpuExit.Fault fault -> "fault " + fault.refusal().errno();
                case VcpuExit.MmioRead _, VcpuExit.MmioWrite _, VcpuExit.Interrupted _ ->
                        throw new AssertionError("neither an access nor a kick");
            };
        } catch (MdevException e) {
            return e.errno().name();
        }
    }
}
