package dev.mdev.core.vm;

import dev.mdev.core.pci.BarRegister;
import dev.mdev.core.pci.PciFunction;
import dev.mdev.core.pci.RegionAccess;

import java.util.Map;

/// What the host does in place of a guest's firmware and drivers, through the same registers.
final class Firmware {
    private static final int COMMAND = 0x04;
    private static final int MEMORY = 1 << 1;
    private static final int MASTER = 1 << 2;

    private static final int MSI = 0x05;
    private static final int MSIX = 0x11;
    private static final int MSIX_ENABLE = 1 << 15;
    private static final int MSIX_FUNCTION_MASK = 1 << 14;

    /// The address at which a PC's local interrupt controllers take messages.
    private static final long MESSAGE_GPA = 0xfee0_0000L;

    private Firmware() {}

    /// Writes addresses into BARs, and turns memory decoding and bus mastering on. The ROM gets an
    /// address, and stays off.
    ///
    /// @param gpas by region index
    static void configure(PciFunction function, ConfigAccess config, Map<Integer, Long> gpas) {
        long command = config.read(COMMAND, 2);
        config.write(COMMAND, 2, command & ~MEMORY);
        for (BarRegister bar : function.barRegisters()) {
            Long gpa = gpas.get(bar.region());
            if (gpa != null) {
                config.write(bar.offset(), bar.widthBytes(), gpa);
            }
        }
        config.write(COMMAND, 2, command | MEMORY | MASTER);
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
