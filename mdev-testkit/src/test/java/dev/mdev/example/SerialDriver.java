package dev.mdev.example;

import dev.mdev.api.Aperture;
import dev.mdev.api.DeviceState;
import dev.mdev.api.IrqInfo;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.api.PciIdentity;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.register.RegisterBlock;
import dev.mdev.api.register.RegisterFile;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Optional;

/// A card with serial ports, one a device. Each port wears a loop-back plug: what it sends, it
/// receives.
public final class SerialDriver implements ParentDriver {
    @Override
    public String name() {
        return "serial";
    }

    @Override
    public List<ParentDevice> probe(ParentHost host) {
        int ports = host.number("ports", 4, 1, 64);
        return List.of(new Card(host.allocateAperture("serial0", 1), ports));
    }

    /// A card without memory to hand out: no pools, and types that demand nothing of them. How many
    /// ports there are is all that limits the devices.
    record Card(Aperture aperture, int ports) implements ParentDevice {
        @Override
        public String name() {
            return "serial0";
        }

        @Override
        public String description() {
            return "A card with " + ports + " serial ports";
        }

        @Override
        public List<ResourcePool> pools() {
            return List.of();
        }

        @Override
        public List<MdevType> types() {
            return List.of(
                    new MdevType(
                            "serial-16550",
                            "Serial port",
                            "A 16550A with a loop-back plug",
                            MdevType.VFIO_PCI,
                            List.of(),
                            ports));
        }

        @Override
        public MdevDevice create(MdevContext context) {
            return new Port(context);
        }
    }

    /// A 16550A (National Semiconductor PC16550D, section 8): eight registers of a byte each.
    static final class Port implements MdevDevice, DeviceState, RegisterBlock {
        // Two registers each: what is read and what is written, or what LCR's highest bit chooses.
        static final int DATA = 0;
        static final int IER = 1;
        static final int IIR = 2;
        static final int LCR = 3;
        static final int MCR = 4;
        static final int LSR = 5;
        static final int MSR = 6;
        static final int SCRATCH = 7;

        private static final int DIVISOR_ACCESS = 0x80;
        private static final int FIFO_BYTES = 16;

        private static final int IER_RECEIVED = 1;
        private static final int IER_SENT = 2;
        private static final int IER_LINE_STATUS = 4;

        private static final int LSR_RECEIVED = 1;
        private static final int LSR_OVERRUN = 2;
        private static final int LSR_SENT = 0x60;

        private final MdevContext context;
        private final RegisterFile plain =
                new RegisterFile()
                        .plain(IER, 1, 0x0F)
                        .plain(LCR, 1, 0xFF)
                        .plain(MCR, 1, 0x1F)
                        .plain(SCRATCH, 1, 0xFF)
                        .plain(8, 2, 0xFFFF) // the divisor, which guests reach through 0 and 1
                        .afterStore(IER, (enabled, stored) -> sent = (enabled & IER_SENT) != 0);
        private final ArrayDeque<Byte> received = new ArrayDeque<>();
        private boolean sent;
        private boolean overrun;

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
        public MapDecision validateMapRequest(MapRequest request) {
            return new MapDecision.Trap();
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

        @Override
        public int widthAt(int offset) {
            return 1;
        }

        @Override
        public long load(int offset) {
            return switch (offset) {
                case DATA, IER -> isDivisor() ? divisor(offset) : loadDataOrIer(offset);
                case IIR -> loadIir();
                case LSR -> loadLsr();
                case MSR -> 0xB0; // carrier, ready, clear to send: a plug is in
                default -> offset < 8 ? plain.load(offset) : 0;
            };
        }

        private long loadDataOrIer(int offset) {
            if (offset == IER) {
                return plain.load(IER);
            }
            return received.isEmpty() ? 0 : received.remove() & 0xFF;
        }

        /// What interrupts, the most urgent first. To read that the transmitter is empty clears it.
        private long loadIir() {
            int source = source();
            if (source == 0x2) {
                sent = false;
            }
            return 0xC0 | (source == 0 ? 0x1 : source);
        }

        private int source() {
            long enabled = plain.get(IER);
            if (overrun && (enabled & IER_LINE_STATUS) != 0) {
                return 0x6;
            }
            if (!received.isEmpty() && (enabled & IER_RECEIVED) != 0) {
                return 0x4;
            }
            return sent && (enabled & IER_SENT) != 0 ? 0x2 : 0;
        }

        private long loadLsr() {
            int status = LSR_SENT | (received.isEmpty() ? 0 : LSR_RECEIVED);
            status |= overrun ? LSR_OVERRUN : 0;
            overrun = false;
            return status;
        }

        @Override
        public void store(int offset, long value, long mask) {
            if (offset <= IER && isDivisor()) {
                int shift = 8 * offset;
                long kept = plain.get(8) & ~(mask << shift);
                plain.set(8, kept | (value << shift));
            } else if (offset == DATA) {
                send((byte) value);
            } else if (offset == IIR) {
                control(value);
            } else if (offset < 8) {
                plain.store(offset, value, mask);
            }
        }

        private void send(byte value) {
            if (received.size() == FIFO_BYTES) {
                overrun = true;
            } else {
                received.add(value);
            }
            sent = true;
        }

        /// The FIFO control register; only clearing what was received does something here.
        private void control(long value) {
            if ((value & 2) != 0) {
                received.clear();
            }
        }

        private boolean isDivisor() {
            return (plain.get(LCR) & DIVISOR_ACCESS) != 0;
        }

        private long divisor(int offset) {
            return (plain.get(8) >>> (8 * offset)) & 0xFF;
        }

        @Override
        public void reset() {
            plain.reset();
            received.clear();
            sent = false;
            overrun = false;
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
            plain.save(out);
            out.writeByte((sent ? 1 : 0) | (overrun ? 2 : 0));
            out.writeByte(received.size());
            for (byte value : received) {
                out.writeByte(value);
            }
        }

        @Override
        public void restore(int version, DataInput in) throws IOException {
            plain.restore(in);
            int flags = in.readUnsignedByte();
            sent = (flags & 1) != 0;
            overrun = (flags & 2) != 0;
            int length = in.readUnsignedByte();
            if (version != 1 || flags > 3 || length > FIFO_BYTES) {
                throw new IOException(
                        "version=%d flags=%d length=%d".formatted(version, flags, length));
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
