package dev.mdev.example;

import dev.mdev.api.DeviceState;
import dev.mdev.api.IrqInfo;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.api.PciIdentity;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.SimpleParent;
import dev.mdev.api.register.RegisterFile;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/// A card with serial ports, one a device. Each port has a loop-back plug: it receives the bytes
/// that it sends.
public final class SerialDriver implements ParentDriver {
    @Override
    public String name() {
        return "serial";
    }

    @Override
    public List<ParentDevice> probe(ParentHost host) {
        int ports = host.number("ports", 4, 1, 64);
        var type = MdevType.withoutPages("serial-16450", "Serial port", "A 16450", ports);
        return List.of(
                SimpleParent.withoutPages(
                        host, "serial0", "A card with " + ports + " ports", type, Port::new));
    }

    /// A 16450 (National Semiconductor NS16450, section 8): eight registers of a byte each.
    static final class Port implements MdevDevice, DeviceState {
        static final int DATA = 0;
        static final int IER = 1;
        static final int IIR = 2;
        static final int LCR = 3;
        static final int MCR = 4;
        static final int LSR = 5;
        static final int MSR = 6;
        static final int SCRATCH = 7;

        // Behind the BAR, where no guest reaches them: what the registers above show, and when.
        private static final int RECEIVED_BYTE = 16;
        private static final int ENABLED = 17;
        private static final int EVENTS = 18;
        private static final int DIVISOR = 19;

        // Events, which are also bits of IER, or of LSR.
        private static final int RECEIVED = 1;
        private static final int SENT = 2;
        private static final int OVERRUN = 4;

        private static final int EMPTY = 0x60;
        private static final int DIVISOR_ACCESS = 0x80;

        private final MdevContext context;
        private final RegisterFile registers =
                new RegisterFile()
                        .computed(DATA, 1, this::receive)
                        .computed(IER, 1, this::enabled)
                        .computed(IIR, 1, this::identify)
                        .plain(LCR, 1, 0xFF)
                        .plain(MCR, 1, 0x1F)
                        .computed(LSR, 1, this::lineStatus)
                        .constant(MSR, 1, 0xB0) // carrier, ready, clear to send: a plug is in
                        .plain(SCRATCH, 1, 0xFF)
                        .plain(RECEIVED_BYTE, 1, 0xFF)
                        .plain(ENABLED, 1, 0x0F)
                        .plain(EVENTS, 1, RECEIVED | SENT | OVERRUN)
                        .plain(DIVISOR, 1, 0xFF)
                        .plain(DIVISOR + 1, 1, 0xFF)
                        .afterStore(DATA, (value, stored) -> send(stored))
                        .afterStore(IER, (value, stored) -> enable(stored));

        Port(MdevContext context) {
            this.context = context;
        }

        @Override
        public List<RegionInfo> regions() {
            return List.of(RegionInfo.of(0, "uart", 16, RegionArea.Kind.TRAPPED));
        }

        @Override
        public PciIdentity identity() {
            return new PciIdentity(0x1234, 0x1645, 0x07_0001, 0, 0x1AF4, 0x1100);
        }

        @Override
        public IrqInfo irqs() {
            return new IrqInfo(true, 0, 0);
        }

        @Override
        public long read(int region, long offsetBytes, int widthBytes) {
            long value = registers.read((int) offsetBytes, widthBytes);
            context.interrupts().setLine(source() != 0);
            return value;
        }

        @Override
        public void write(int region, long offsetBytes, int widthBytes, long value) {
            registers.write((int) offsetBytes, widthBytes, value);
            context.interrupts().setLine(source() != 0);
        }

        /// Whether DATA and IER are the two bytes of the divisor.
        private boolean showsDivisor() {
            return (registers.get(LCR) & DIVISOR_ACCESS) != 0;
        }

        private long receive() {
            if (showsDivisor()) {
                return registers.get(DIVISOR);
            }
            clear(RECEIVED);
            return registers.get(RECEIVED_BYTE);
        }

        private void send(long value) {
            if (showsDivisor()) {
                registers.set(DIVISOR, value);
                return;
            }
            long overrun = (registers.get(EVENTS) & RECEIVED) != 0 ? OVERRUN : 0;
            registers.set(RECEIVED_BYTE, value);
            registers.set(EVENTS, registers.get(EVENTS) | RECEIVED | SENT | overrun);
        }

        private long enabled() {
            return registers.get(showsDivisor() ? DIVISOR + 1 : ENABLED);
        }

        private void enable(long value) {
            if (showsDivisor()) {
                registers.set(DIVISOR + 1, value);
            } else {
                registers.set(ENABLED, value & 0x0F);
                registers.set(EVENTS, (registers.get(EVENTS) & ~SENT) | (value & SENT));
            }
        }

        private void clear(int events) {
            registers.set(EVENTS, registers.get(EVENTS) & ~events);
        }

        /// The most urgent event that is to interrupt, by its number in IIR; 0 if there is none.
        private int source() {
            long wanted = registers.get(EVENTS) & registers.get(ENABLED);
            if ((wanted & OVERRUN) != 0) {
                return 0x6;
            }
            return (wanted & RECEIVED) != 0 ? 0x4 : (int) (wanted & SENT);
        }

        /// To read that the transmitter is empty clears it.
        private long identify() {
            int source = source();
            if (source == SENT) {
                clear(SENT);
            }
            return source == 0 ? 0x1 : source;
        }

        private long lineStatus() {
            long events = registers.get(EVENTS);
            clear(OVERRUN);
            return EMPTY | (events & RECEIVED) | ((events & OVERRUN) >> 1);
        }

        @Override
        public void reset() {
            registers.reset();
            context.interrupts().setLine(false);
        }

        @Override
        public Optional<DeviceState> state() {
            return Optional.of(this);
        }

        @Override
        public void save(DataOutput out) throws IOException {
            registers.save(out);
        }

        @Override
        public void restore(int version, DataInput in) throws IOException {
            if (version != 1) {
                throw new IOException("version=" + version);
            }
            registers.restore(in);
        }

        @Override
        public void resume() {
            context.interrupts().setLine(source() != 0);
        }
    }
}
