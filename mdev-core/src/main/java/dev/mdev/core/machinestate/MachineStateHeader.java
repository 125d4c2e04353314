package dev.mdev.core.machinestate;

import dev.mdev.core.memslot.SmmDesign;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;

/// The machine that a state belongs to.
///
/// @param name of the machine that was saved
/// @param engine that it ran on
/// @param physicalAddressBits bits of its guest-physical addresses
/// @param smm its system management mode
/// @param devices in the order of their attachment
public record MachineStateHeader(
        String name,
        String engine,
        int physicalAddressBits,
        long ramBytes,
        int vcpus,
        SmmDesign smm,
        List<Device> devices) {
    public MachineStateHeader {
        devices = List.copyOf(devices);
    }

    /// A device of the machine.
    ///
    /// @param driver its driver's name
    /// @param type its type's id
    /// @param number its place on the bus
    /// @param bars the addresses that firmware has for its BARs, by region
    public record Device(
            UUID uuid, String driver, String type, int number, Map<Integer, Long> bars) {
        public Device {
            bars = Map.copyOf(bars);
        }

        /// The same, in the order of the regions.
        Map<Integer, Long> barsInOrder() {
            return new TreeMap<>(bars);
        }
    }
}
