package dev.mdev.core.vm;

import java.util.Map;

/// Where a restored device was in its machine, and what its guest had set up.
///
/// @param number its number on the bus
/// @param bars the addresses that firmware has for its BARs, by region
/// @param function what [dev.mdev.core.pci.PciFunction#saveState] wrote
@SuppressWarnings("ArrayRecordComponent") // content is handed over, not compared
record RestoredPlace(int number, Map<Integer, Long> bars, byte[] function) {
    RestoredPlace {
        bars = Map.copyOf(bars);
    }
}
