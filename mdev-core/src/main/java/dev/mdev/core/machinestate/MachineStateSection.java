package dev.mdev.core.machinestate;

import java.util.List;

/// One part of a machine's state, after the header. The reader owns the bytes.
@SuppressWarnings("ArrayRecordComponent") // content is handed over, not compared
public sealed interface MachineStateSection {
    /// Content of neighbouring pages of RAM.
    ///
    /// @param firstPage the first page, counted through all RAM
    /// @param content of one or more whole pages, all inside RAM
    record Pages(long firstPage, byte[] content) implements MachineStateSection {}

    /// Neighbouring pages of RAM that are zero.
    record Zeroes(long firstPage, long npages) implements MachineStateSection {}

    /// A part of the stream of a device's state.
    ///
    /// @param index of the device in the header
    record DevicePart(int index, byte[] content) implements MachineStateSection {}

    /// The state of a device's PCI function; its device's parts come before.
    record Function(int index, byte[] content) implements MachineStateSection {}

    /// System management mode, in a machine that has it.
    ///
    /// @param bridge registers of the host bridge, [MachineStateFormat#BRIDGE_BYTES]
    /// @param positions of all processors
    record Smm(byte[] bridge, List<SmmPosition> positions) implements MachineStateSection {
        public Smm {
            positions = List.copyOf(positions);
        }
    }

    /// The positions of the programs.
    record Processors(List<ProgramPosition> positions) implements MachineStateSection {
        public Processors {
            positions = List.copyOf(positions);
        }
    }

    /// The end: the whole state was read.
    record End(SaveReport report) implements MachineStateSection {}
}
