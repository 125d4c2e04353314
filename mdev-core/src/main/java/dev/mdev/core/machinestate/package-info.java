/// The stream that carries a machine: versioned, checksummed, and treated as bytes from a stranger.
///
/// ```
/// "MDEVMACH"  version:u16
/// section*    tag:u8  length:u32  payload  check:u32
/// ```
///
/// Numbers and `check` are as in a device's state ([dev.mdev.core.devicestate]).
///
/// ```
/// 1 header      name:utf  engine:utf  physicalAddressBits:u8  pageSize:u32  ramBytes:u64
///               vcpus:u16  smm:u8  devices:u16 { uuid:16  driver:utf  type:utf  number:u8
///                             bars:u8 { region:u8  gpa:u64 }* }*
/// 2 pages       firstPage:u64  content                a later section replaces an earlier one
/// 3 zeroes      firstPage:u64  npages:u64             pages that an earlier section had
/// 4 device      index:u16  a part of the stream of the device's state
/// 5 function    index:u16  what PciFunction.saveState wrote
/// 6 smm         bridge:15  { mode:u8  smbase:u32 }*   only of a machine that has the mode
/// 7 processors  { running:u8  step:u32  completed:u64 }*
/// 8 end         rounds:u32  pages:u64  stoppedPages:u64  stopNanos:u64
/// ```
///
/// Pages count through all RAM, below and above 4 GiB. First comes RAM; pages that no section names
/// are zero. Then, for each device in the order of the header, its state in parts and its function;
/// then system management mode, the processors, and the end, after which nothing follows.
///
/// `smm` in the header is 0 for none, 1 for an address space of its own, 2 for slots with a flag.
/// `bridge` has the host bridge's registers from 0x90 on. Bit 0 of `mode`: the processor is in the
/// mode; bit 1: an interrupt waits. SMRAM is a part of RAM.
@NullMarked
package dev.mdev.core.machinestate;

import org.jspecify.annotations.NullMarked;
