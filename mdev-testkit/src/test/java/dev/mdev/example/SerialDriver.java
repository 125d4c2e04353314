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
import dev.mdev.api.register.RegisterBlock;
import dev.mdev.api.register.RegisterFile;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayDeque;
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
        var type =
                new MdevType(
                        "serial-16550",
                        "Serial port",
                        "A 16550A with a loop-back plug",
                        MdevType.VFIO_PCI,
                        List.of(),
                        ports);
        return List.of(
                new SimpleParent(
                        "serial0",
                        "A card with " + ports + " serial ports",
                        host.allocateAperture("serial0", 1),
                        List.of(),
                        List.of(type),
                        Port::new));
    }

    /// A 16550A (National Semiconductor PC16550D, section 8): eight registers of a byte each.
    static final class Port implements MdevDevice, DeviceState, RegisterBlock {
        static final int DATA = 0;
        static final int IER = 1;
        static final int IIR = 2;
        static final int LCR = 3;
        static final int MCR = 4;
        static final int LSR = 5;
        static final int MSR = 6;
        static final int SCRATCH = 7;

        // Bits of IER, LSR and LCR.
        private static final int RECEIVED = 1;
        private static final int SENT = 2;
        private static final int LINE_STATUS = 4;
        private static final int OVERRUN = 2;
        private static final int EMPTY = 0x60;
        private static final int DIVISOR_ACCESS = 0x80;

        private static final int FIFO_BYTES = 16;

        private final MdevContext context;
        private final ArrayDeque<Byte> received = new ArrayDeque<>();

        /// Events that the guest has not read yet: SENT and OVERRUN. Guests do not reach these
        /// registers.
        private final RegisterFile pending =
                new RegisterFile().plain(IIR, 1, SENT).plain(LSR, 1, OVERRUN);

        /// The registers in place of DATA and IER while DIVISOR_ACCESS is set.
        private final RegisterFile divisor =
                new RegisterFile().plain(DATA, 1, 0xFF).plain(IER, 1, 0xFF);

        private final RegisterFile registers =
                new RegisterFile()
                        .computed(DATA, 1, this::receive)
                        .plain(IER, 1, 0x0F)
                        .computed(IIR, 1, this::identify)
                        .plain(LCR, 1, 0xFF)
                        .plain(MCR, 1, 0x1F)
                        .computed(LSR, 1, this::lineStatus)
                        .constant(MSR, 1, 0xB0) // carrier, ready, clear to send: a plug is in
                        .plain(SCRATCH, 1, 0xFF)
                        .afterStore(DATA, (value, stored) -> send((byte) stored))
                        .afterStore(IER, (enabled, stored) -> pending.set(IIR, enabled & SENT))
                        .afterStore(IIR, (value, stored) -> control(stored));

        Port(MdevContext context) {
            this.context = context;
        }

        @Override
        public List<RegionInfo> regions() {
            return List.of(RegionInfo.of(0, "uart", 16, RegionArea.Kind.TRAPPED));
        }

        @Override
        public PciIdentity identity() {
            return new PciIdentity(0x1234, 0x1655, 0x07_0002, 0, 0x1AF4, 0x1100);
        }

        @Override
        public IrqInfo irqs() {
            return new IrqInfo(true, 0, 0);
        }

        @Override
        public long read(int region, long offsetBytes, int widthBytes) {
            long value = read((int) offsetBytes, widthBytes);
            context.interrupts().setLine(source() != 0);
            return value;
        }

        @Override
        public void write(int region, long offsetBytes, int widthBytes, long value) {
            write((int) offsetBytes, widthBytes, value);
            context.interrupts().setLine(source() != 0);
        }

        private RegisterFile bank(int offset) {
            boolean latched = (registers.get(LCR) & DIVISOR_ACCESS) != 0;
            return latched && offset <= IER ? divisor : registers;
        }

        @Override
        public int widthAt(int offset) {
            return 1;
        }

        @Override
        public long load(int offset) {
            return bank(offset).load(offset);
        }

        @Override
        public void store(int offset, long value, long mask) {
            bank(offset).store(offset, value, mask);
        }

        private long receive() {
            return received.isEmpty() ? 0 : received.remove() & 0xFF;
        }

        private void send(byte value) {
            if (received.size() == FIFO_BYTES) {
                pending.set(LSR, OVERRUN);
            } else {
                received.add(value);
            }
            pending.set(IIR, SENT);
        }

        /// The FIFO control register. Only its bit that clears the received bytes has an effect.
        private void control(long value) {
            if ((value & 2) != 0) {
                received.clear();
            }
        }

        /// The most urgent source of an interrupt, by its number in IIR; 0 if there is none.
        private int source() {
            long enabled = registers.get(IER);
            if (pending.get(LSR) != 0 && (enabled & LINE_STATUS) != 0) {
                return 0x6;
            }
            if (!received.isEmpty() && (enabled & RECEIVED) != 0) {
                return 0x4;
            }
            return pending.get(IIR) != 0 && (enabled & SENT) != 0 ? 0x2 : 0;
        }

        /// To read that the transmitter is empty clears it.
        private long identify() {
            int source = source();
            if (source == 0x2) {
                pending.set(IIR, 0);
            }
            return 0xC0 | (source == 0 ? 0x1 : source);
        }

        private long lineStatus() {
            long status = EMPTY | pending.get(LSR) | (received.isEmpty() ? 0 : RECEIVED);
            pending.set(LSR, 0);
            return status;
        }

        @Override
        public void reset() {
            List.of(registers, divisor, pending).forEach(RegisterFile::reset);
            received.clear();
            context.interrupts().setLine(false);
        }

        @Override
        public Optional<DeviceState> state() {
            return Optional.of(this);
        }

        @Override
        public int version() {
            return 1;
        }

        @Override
        public void save(DataOutput out) throws IOException {
            registers.save(out);
            divisor.save(out);
            pending.save(out);
            out.writeByte(received.size());
            for (byte value : received) {
                out.writeByte(value);
            }
        }

        @Override
        public void restore(int version, DataInput in) throws IOException {
            registers.restore(in);
            divisor.restore(in);
            pending.restore(in);
            int length = in.readUnsignedByte();
            if (version != 1 || length > FIFO_BYTES) {
                throw new IOException("version=%d length=%d".formatted(version, length));
            }
            received.clear();
            for (int i = 0; i < length; i++) {
                received.add(in.readByte());
            }
        }

        @Override
        public void resume() {
            context.interrupts().setLine(source() != 0);
        }
    }
}
