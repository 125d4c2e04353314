package dev.mdev.pcisplit.description;

import dev.mdev.api.MdevType;
import dev.mdev.api.page.Prot;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/// How to share one PCI function. `docs/drivers.md` has the format of the file.
///
/// @param file where it is written, for messages
/// @param address the function, such as `0000:65:00.0`
/// @param name the parent's name
/// @param text one line for people
/// @param expected which function must be at that address; nothing if any may be
/// @param stub the kernel driver that the function may be bound to; nothing if it must be unbound
/// @param isForced whether the function is shared even if it is the host's display
public record Description(
        String file,
        String address,
        String name,
        String text,
        Optional<Ids> expected,
        Optional<String> stub,
        boolean isForced,
        List<Pool> pools,
        List<DeviceType> types) {
    public Description {
        pools = List.copyOf(pools);
        types = List.copyOf(types);
    }

    /// A pool by its name.
    ///
    /// @throws java.util.NoSuchElementException if there is none
    public Pool pool(String wanted) {
        return pools.stream().filter(pool -> pool.name.equals(wanted)).findFirst().orElseThrow();
    }

    /// What configuration space says of a function.
    public record Ids(int vendor, int device) {}

    /// Pages of one of the function's BARs that are handed out.
    ///
    /// @param bar the function's BAR, 0 to 5
    /// @param combinesWrites whether the processor may combine writes to them
    /// @param holdsContent whether they are memory; else they are registers, such as doorbells
    public record Pool(
            String name,
            int bar,
            long offsetBytes,
            long sizeBytes,
            boolean combinesWrites,
            boolean holdsContent) {
        /// The offset of the first byte after it.
        public long endBytes() {
            return offsetBytes + sizeBytes;
        }
    }

    /// A kind of device.
    ///
    /// @param most the maximum number of its devices
    public record DeviceType(
            String id,
            String name,
            String text,
            int most,
            Identity identity,
            List<MdevType.Demand> demands,
            List<GuestBar> bars,
            Reset reset,
            List<InterruptSource> interrupts) {
        public DeviceType {
            demands = List.copyOf(demands);
            bars = List.copyOf(bars);
            interrupts = List.copyOf(interrupts);
        }

        /// Its pages of registers that are passed through.
        public List<PassedPage> passedPages() {
            return bars.stream()
                    .flatMap(bar -> bar.areas.stream())
                    .filter(PassedPage.class::isInstance)
                    .map(PassedPage.class::cast)
                    .toList();
        }
    }

    /// What a guest finds in configuration space; a field that is not given is the function's own.
    public record Identity(Map<Field, Integer> fields) {
        public Identity {
            fields = Map.copyOf(fields);
        }

        /// A field of configuration space.
        public enum Field {
            VENDOR("vendor", 16),
            DEVICE("device", 16),
            CLASS("class", 24),
            REVISION("revision", 8),
            SUBSYSTEM_VENDOR("subsystem-vendor", 16),
            SUBSYSTEM("subsystem", 16);

            private final String word;
            private final int bits;

            Field(String word, int bits) {
                this.word = word;
                this.bits = bits;
            }

            /// Its name in a file.
            public String word() {
                return word;
            }

            /// The largest value.
            public int most() {
                return (1 << bits) - 1;
            }
        }
    }

    /// One of the guest's BARs.
    ///
    /// @param sizeBytes a power of two
    /// @param areas ascending, disjoint, inside the BAR; between them, loads give zero and stores
    ///   do nothing
    public record GuestBar(int index, String name, long sizeBytes, List<Area> areas) {
        public GuestBar {
            areas = List.copyOf(areas);
        }
    }

    /// A part of a guest's BAR, whole pages.
    public sealed interface Area {
        /// Where it begins in the BAR.
        long atBytes();

        /// Its size.
        long sizeBytes();

        /// The offset of the first byte after it.
        default long endBytes() {
            return atBytes() + sizeBytes();
        }
    }

    /// The device's share of a pool.
    ///
    /// @param isEager whether it is mapped when the guest maps the BAR; else at the first access to
    ///   each page
    /// @param aheadPages if it is lazy, the maximum number of pages that one fault maps; 0 for one
    public record SharedArea(
            long atBytes, long sizeBytes, String pool, boolean isEager, int aheadPages, Prot prot)
            implements Area {}

    /// Registers of 4 bytes that never change; between them, loads give zero.
    ///
    /// @param values by offset in the area
    public record FixedArea(long atBytes, long sizeBytes, Map<Integer, Integer> values)
            implements Area {
        public FixedArea {
            values = Map.copyOf(values);
        }
    }

    /// A page with registers of the function. A guest reaches only those that are listed.
    ///
    /// @param bar the function's BAR
    /// @param offsetBytes the page in that BAR
    /// @param registers ascending, disjoint
    public record PassedPage(
            long atBytes, long sizeBytes, int bar, long offsetBytes, List<Register> registers)
            implements Area {
        public PassedPage {
            registers = List.copyOf(registers);
        }
    }

    /// A register of the function that guests may use.
    ///
    /// @param offset its offset in the page, a multiple of its width
    /// @param widthBytes 1, 2 or 4
    /// @param readMask the bits that a guest sees; it reads the others as zero
    /// @param writeMask the bits that a guest can store
    /// @param resetValue what these bits become at a reset; nothing if they stay as they are
    public record Register(
            int offset, int widthBytes, long readMask, long writeMask, OptionalLong resetValue) {
        /// Ones in all bits of a register.
        public static long allOnes(int widthBytes) {
            return -1L >>> (Long.SIZE - Byte.SIZE * widthBytes);
        }

        /// Whether a guest can store all its bits.
        public boolean isFullyWritable() {
            return writeMask == allOnes(widthBytes);
        }
    }

    /// What the driver does at a reset, after the host has cleared the device's memory.
    ///
    /// @param writes stores to the function's registers, in this order
    /// @param isOfFunction whether the whole function is reset, by sysfs, before the stores
    public record Reset(List<RegisterWrite> writes, boolean isOfFunction) {
        public Reset {
            writes = List.copyOf(writes);
        }
    }

    /// A store to a register of the function.
    public record RegisterWrite(int bar, long offsetBytes, int widthBytes, long value) {}

    /// What a device's interrupt comes from: a register of the function that the driver looks at.
    /// The first one is vector 0.
    ///
    /// @param status the register
    /// @param bits those that say that the function wants attention
    /// @param clear where the driver stores them when it has seen them; nothing if the guest does
    /// @param everyMicros how often the driver looks
    public record InterruptSource(
            RegisterPlace status, long bits, Optional<RegisterPlace> clear, int everyMicros) {
        /// All its registers.
        public List<RegisterPlace> registers() {
            return clear.map(it -> List.of(status(), it)).orElseGet(() -> List.of(status()));
        }
    }

    /// A register of the function.
    public record RegisterPlace(int bar, long offsetBytes, int widthBytes) {
        /// The offset of the first byte after it.
        public long endBytes() {
            return offsetBytes + widthBytes;
        }
    }
}
