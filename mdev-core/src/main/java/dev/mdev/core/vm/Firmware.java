package dev.mdev.core.vm;

import dev.mdev.api.RegionInfo;
import dev.mdev.core.pci.PciFunction;
import dev.mdev.core.pci.RegionAccess;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// What the host does in place of a guest's firmware and drivers, through the same registers.
final class Firmware {
    private static final int COMMAND = 0x04;
    private static final int FIRST_BAR = 0x10;
    private static final int ROM = 0x30;
    private static final int MEMORY = 1 << 1;
    private static final int MASTER = 1 << 2;

    private static final int TYPE_MASK = 0xf;
    private static final int TYPE_64 = 1 << 2;
    private static final long ROM_MASK = 0xffff_f800L;

    private static final int MSI = 0x05;
    private static final int MSIX = 0x11;
    private static final int MSIX_ENABLE = 1 << 15;
    private static final int MSIX_FUNCTION_MASK = 1 << 14;

    /// The address at which a PC's local interrupt controllers take messages.
    private static final long MESSAGE_GPA = 0xfee0_0000L;

    private Firmware() {}

    /// A BAR as its registers show it.
    ///
    /// @param region its index; [RegionInfo#ROM] for the ROM
    record Bar(int region, long sizeBytes, boolean wide) {}

    /// Finds the BARs, by writing ones and reading back which bits stay.
    static List<Bar> probe(ConfigAccess config) {
        config.write(COMMAND, 2, config.read(COMMAND, 2) & ~MEMORY);
        List<Bar> bars = new ArrayList<>();
        for (int index = 0; index <= RegionInfo.LAST_BAR; index++) {
            int register = FIRST_BAR + index * 4;
            boolean wide = (config.read(register, 4) & TYPE_64) != 0;
            long address = stickingBits(config, register, wide ? 8 : 4) & ~TYPE_MASK;
            if (address != 0) {
                bars.add(new Bar(index, Long.lowestOneBit(address), wide));
            }
            if (wide) {
                index++;
            }
        }
        long rom = stickingBits(config, ROM, 4) & ROM_MASK;
        if (rom != 0) {
            bars.add(new Bar(RegionInfo.ROM, Long.lowestOneBit(rom), false));
        }
        return bars;
    }

    private static long stickingBits(ConfigAccess config, int register, int widthBytes) {
        long before = config.read(register, widthBytes);
        config.write(register, widthBytes, -1);
        long sticking = config.read(register, widthBytes);
        config.write(register, widthBytes, before);
        return sticking;
    }

    /// Writes addresses into BARs, and turns memory decoding and bus mastering on. The ROM gets an
    /// address, and stays off.
    ///
    /// @param gpas by region index
    static void configure(ConfigAccess config, Map<Integer, Long> gpas) {
        for (Bar bar : probe(config)) {
            Long gpa = gpas.get(bar.region);
            if (gpa != null) {
                int register = bar.region == RegionInfo.ROM ? ROM : FIRST_BAR + bar.region * 4;
                config.write(register, bar.wide ? 8 : 4, gpa);
            }
        }
        config.write(COMMAND, 2, config.read(COMMAND, 2) | MEMORY | MASTER);
    }

    /// @return the number of enabled vectors
    static int enableMessages(PciFunction function, ConfigAccess config) {
        int msix = config.capability(MSIX);
        if (msix != 0) {
            return enableMsix(function, config, msix);
        }
        int msi = config.capability(MSI);
        return msi == 0 ? 0 : enableMsi(config, msi);
    }

    private static int enableMsix(PciFunction function, ConfigAccess config, int at) {
        int control = (int) config.read(at + 2, 2);
        config.write(at + 2, 2, control | MSIX_ENABLE | MSIX_FUNCTION_MASK);
        long table = config.read(at + 4, 4);
        int vectors = (control & 0x7ff) + 1;
        for (int vector = 0; vector < vectors; vector++) {
            long entry = (table & ~7L) + vector * 16L;
            int bar = (int) table & 7;
            write(function, bar, entry, MESSAGE_GPA);
            write(function, bar, entry + 8, vector);
        }
        config.write(at + 2, 2, (control & ~MSIX_FUNCTION_MASK) | MSIX_ENABLE);
        return vectors;
    }

    /// 8 bytes: the second half of an entry: data and, with its mask bit cleared, control.
    private static void write(PciFunction function, int bar, long offsetBytes, long value) {
        if (function.write(bar, offsetBytes, 8, value) instanceof RegionAccess.Failed failed) {
            throw failed.refusal().toException();
        }
    }

    private static int enableMsi(ConfigAccess config, int at) {
        int control = (int) config.read(at + 2, 2);
        int log = control >> 1 & 7;
        config.write(at + 4, 8, MESSAGE_GPA);
        config.write(at + 12, 2, 0);
        config.write(at + 16, 4, 0);
        config.write(at + 2, 2, control | log << 4 | 1);
        return 1 << log;
    }
}
