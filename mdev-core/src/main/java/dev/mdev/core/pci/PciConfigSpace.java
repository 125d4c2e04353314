package dev.mdev.core.pci;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.PciIdentity;
import dev.mdev.api.RegionInfo;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;

/// The configuration space of one function, with a type 0 header (PCI Local Bus Specification 3.0,
/// chapter 6): registers, and the effects of writes to them.
///
/// No guest access throws: every width and alignment is served, and bytes outside read as ones and
/// ignore writes.
///
/// Any thread may call all methods. The lock covers only the registers and the interrupts that
/// depend on them. It is released before BARs change or driver code runs: the other effects of a
/// write are [returned][#write].
public final class PciConfigSpace {
    private static final int VENDOR = 0x00;
    private static final int DEVICE = 0x02;
    private static final int COMMAND = 0x04;
    private static final int STATUS = 0x06;
    private static final int REVISION = 0x08;
    private static final int CLASS = 0x09;
    private static final int CACHE_LINE_SIZE = 0x0c;
    private static final int SUBSYSTEM_VENDOR = 0x2c;
    private static final int SUBSYSTEM = 0x2e;
    private static final int CAPABILITIES = 0x34;
    private static final int INTERRUPT_LINE = 0x3c;
    private static final int INTERRUPT_PIN = 0x3d;
    private static final int FIRST_CAPABILITY = 0x40;

    static final int MEMORY = 1 << 1;
    static final int MASTER = 1 << 2;
    private static final int PARITY = 1 << 6;
    private static final int SERR = 1 << 8;
    private static final int LINE_DISABLE = 1 << 10;
    private static final int COMMAND_BITS = MEMORY | MASTER | PARITY | SERR | LINE_DISABLE;

    private static final int LINE_STATUS = 1 << 3;
    private static final int CAPABILITY_LIST = 1 << 4;

    /// The status bit of a function whose request had no target.
    public static final int RECEIVED_MASTER_ABORT = 1 << 13;

    private static final int STATUS_ERRORS = 0xf900;

    private final int sizeBytes;
    private final long gpaLimit;
    private final List<BarRegister> bars;
    private final List<PciCapability> capabilities;
    private final PowerManagement power;
    private final @Nullable MsiCapability msiCapability;
    private final @Nullable MsixCapability msixCapability;
    private final FunctionInterrupts interrupts;

    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private final ConfigRegisters registers;

    /// Derived from the registers; written under the lock with them.
    private final boolean hasVga;

    private volatile State state = new State(false, false, List.of());

    /// @param gpaLimit one more than the highest guest-physical address: a BAR beyond it has no
    ///   place
    PciConfigSpace(PciProfile profile, FunctionInterrupts interrupts, long gpaLimit) {
        this.sizeBytes = profile.configBytes();
        this.gpaLimit = gpaLimit;
        this.interrupts = interrupts;
        bars = profile.bars().bars().stream().map(BarRegister::of).toList();
        hasVga = profile.hasVga();
        power = new PowerManagement();
        msiCapability = interrupts.msi() == null ? null : new MsiCapability(interrupts.msi());
        msixCapability =
                profile.bars()
                        .msix()
                        .map(place -> new MsixCapability(profile.irqs().msixVectors(), place))
                        .orElse(null);
        capabilities = capabilities(profile);
        lock.lock();
        try {
            registers = new ConfigRegisters(sizeBytes);
            defineHeaderLocked(profile);
            placeCapabilitiesLocked();
            registers.rememberDefaults();
            followLocked();
        } finally {
            lock.unlock();
        }
    }

    /// The settings in the registers that affect others.
    private record State(boolean memory, boolean master, List<BarWindow> windows) {}

    /// The further effects of a write.
    ///
    /// @param windowsChanged whether BARs appeared, disappeared or moved
    /// @param resetRequested whether the function must be reset; its registers already are
    record Written(boolean windowsChanged, boolean resetRequested) {}

    private List<PciCapability> capabilities(PciProfile profile) {
        List<PciCapability> list = new ArrayList<>();
        list.add(power);
        if (msiCapability != null) {
            list.add(msiCapability);
        }
        if (msixCapability != null) {
            list.add(msixCapability);
        }
        list.add(
                profile.options().express()
                        ? new ExpressCapability()
                        : new FunctionResetCapability());
        if (!profile.options().vendorData().isEmpty()) {
            list.add(new VendorCapability(profile.options().vendorData()));
        }
        return List.copyOf(list);
    }

    @GuardedBy("lock")
    private void defineHeaderLocked(PciProfile profile) {
        PciIdentity identity = profile.identity();
        registers.set(VENDOR, 2, identity.vendorId());
        registers.set(DEVICE, 2, identity.deviceId());
        registers.allowWrite(COMMAND, 2, COMMAND_BITS);
        registers.set(STATUS, 2, CAPABILITY_LIST);
        registers.allowClear(STATUS, 2, STATUS_ERRORS);
        registers.set(REVISION, 1, identity.revision());
        registers.set(CLASS, 3, identity.classCode());
        registers.allowWrite(CACHE_LINE_SIZE, 1, 0xff);
        registers.set(SUBSYSTEM_VENDOR, 2, identity.subsystemVendorId());
        registers.set(SUBSYSTEM, 2, identity.subsystemId());
        registers.allowWrite(INTERRUPT_LINE, 1, 0xff);
        registers.set(INTERRUPT_PIN, 1, profile.irqs().intx() ? 1 : 0);
        for (BarRegister bar : bars) {
            bar.define(registers);
        }
    }

    @GuardedBy("lock")
    private void placeCapabilitiesLocked() {
        registers.set(CAPABILITIES, 1, FIRST_CAPABILITY);
        int at = FIRST_CAPABILITY;
        for (int i = 0; i < capabilities.size(); i++) {
            PciCapability capability = capabilities.get(i);
            int end = (at + capability.lengthBytes() + 3) & ~3;
            capability.place(registers, at, i + 1 < capabilities.size() ? end : 0);
            at = end;
        }
    }

    /// The size of the space: 256, or 4096 of a PCI Express function.
    public int sizeBytes() {
        return sizeBytes;
    }

    /// Reads.
    ///
    /// @param offsetBytes any value
    /// @param widthBytes 1 to 8
    long read(int offsetBytes, int widthBytes) {
        lock.lock();
        try {
            refreshLocked();
            return registers.read(offsetBytes, widthBytes);
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private void refreshLocked() {
        for (PciCapability capability : capabilities) {
            capability.refresh(registers);
        }
        long status = registers.read(STATUS, 2) & ~LINE_STATUS;
        registers.set(STATUS, 2, status | (interrupts.isLineAsserted() ? LINE_STATUS : 0));
    }

    /// Writes as a guest.
    ///
    /// @param offsetBytes any value
    /// @param widthBytes 1 to 8
    /// @return the further effects, to be applied without a lock
    Written write(int offsetBytes, int widthBytes, long value) {
        lock.lock();
        try {
            registers.write(offsetBytes, widthBytes, value);
            boolean reset = false;
            for (PciCapability capability : capabilities) {
                capability.written(registers);
                reset |= capability.takeResetRequest();
            }
            // The reset of the registers is part of the write, so that the function cannot act in
            // between, such as by sending what became pending while it slept.
            return new Written(reset ? resetLocked() : followLocked(), reset);
        } finally {
            lock.unlock();
        }
    }

    /// Sets status bits from the device's side; the guest clears them by writing ones.
    public void raiseStatus(int bits) {
        lock.lock();
        try {
            registers.set(STATUS, 2, registers.read(STATUS, 2) | bits);
        } finally {
            lock.unlock();
        }
    }

    /// A number that tells apart functions of different kinds.
    int kind() {
        lock.lock();
        try {
            return registers.kind();
        } finally {
            lock.unlock();
        }
    }

    /// All bytes.
    byte[] save() {
        lock.lock();
        try {
            refreshLocked();
            return registers.all();
        } finally {
            lock.unlock();
        }
    }

    /// Sets the registers as they were in a saved function, from the values after power-on.
    ///
    /// @return whether BARs appeared; empty if the bytes are those of another function, and nothing
    ///   changed
    Optional<Boolean> restore(byte[] saved) {
        lock.lock();
        try {
            // What is no guest's to change is that of this moment.
            byte[] bytes = saved.clone();
            if (bytes.length == registers.sizeBytes()) {
                refreshLocked();
                keepLocked(bytes, STATUS, LINE_STATUS);
                if (msiCapability != null) {
                    msiCapability.keepPending(registers, bytes);
                }
            }
            if (!registers.restore(bytes)) {
                return Optional.empty();
            }
            for (PciCapability capability : capabilities) {
                capability.written(registers);
                var _ = capability.takeResetRequest();
            }
            return Optional.of(followLocked());
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private void keepLocked(byte[] bytes, int offset, int mask) {
        int now = (int) registers.read(offset, 1);
        bytes[offset] = (byte) ((bytes[offset] & ~mask) | (now & mask));
    }

    /// Sets every register to its value after power-on: no BAR is decoded, no interrupt enabled.
    ///
    /// @return whether BARs disappeared
    boolean reset() {
        lock.lock();
        try {
            return resetLocked();
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private boolean resetLocked() {
        registers.reset();
        capabilities.forEach(PciCapability::reset);
        interrupts.reset();
        return followLocked();
    }

    /// @return whether windows changed
    @GuardedBy("lock")
    private boolean followLocked() {
        int command = (int) registers.read(COMMAND, 2);
        boolean powered = power.isFullPower();
        boolean memory = powered && (command & MEMORY) != 0;
        boolean master = powered && (command & MASTER) != 0;
        State before = state;
        State now = new State(memory, master, memory ? windowsLocked() : List.of());
        state = now;
        interrupts.follow(
                new FunctionInterrupts.Control(
                        !powered || (command & LINE_DISABLE) != 0,
                        master,
                        msiCapability != null && msiCapability.isEnabled(),
                        msixCapability != null && msixCapability.isEnabled(),
                        msixCapability != null && msixCapability.isFunctionMasked()));
        return !before.windows.equals(now.windows);
    }

    @GuardedBy("lock")
    private List<BarWindow> windowsLocked() {
        List<BarWindow> windows = new ArrayList<>();
        for (BarRegister bar : bars) {
            BarWindow window = bar.window(registers, gpaLimit);
            if (window != null) {
                windows.add(window);
            }
        }
        if (hasVga) {
            windows.add(
                    new BarWindow(
                            RegionInfo.VGA, BarWindow.VGA_MEMORY_GPA, BarWindow.VGA_MEMORY_BYTES));
        }
        return List.copyOf(windows);
    }

    /// The current windows of BARs, the ROM and legacy VGA memory; empty while memory decoding is
    /// off or the function sleeps.
    public List<BarWindow> windows() {
        return state.windows;
    }

    /// Whether memory decoding is on.
    public boolean decodesMemory() {
        return state.memory;
    }

    /// Whether the function may read and write memory, which includes sending a message.
    public boolean isBusMaster() {
        return state.master;
    }

    /// The place of the capability with an id, or 0.
    public int capability(int id) {
        return capabilities.stream()
                .filter(capability -> capability.id() == id)
                .mapToInt(PciCapability::offset)
                .findFirst()
                .orElse(0);
    }

    /// All bytes, as `lspci -xxxx` prints them and `lspci -F` reads them.
    ///
    /// @param address the function's, such as `00:01.0`
    public String dump(String address) {
        StringBuilder text = new StringBuilder(address).append(" mediated device\n");
        for (int row = 0; row < sizeBytes(); row += 16) {
            text.append("%02x:".formatted(row));
            for (int at = row; at < row + 16; at++) {
                text.append(" %02x".formatted(read(at, 1)));
            }
            text.append('\n');
        }
        return text.append('\n').toString();
    }
}
