/// The stream that carries a device's state: versioned, checksummed, and treated as bytes from a
/// stranger.
///
/// ```
/// "MDEVSTAT"  version:u16
/// section*    tag:u8  length:u32  payload  check:u32
/// ```
///
/// All numbers are big-endian. `check` is the CRC-32C of the whole stream up to it, so that it
/// detects missing, duplicated and moved sections as well as changed ones. The checksums are no
/// signature: an attacker who can change the stream can change them as well, so the reader checks
/// every value itself.
///
/// ```
/// 1 header  uuid:16  driver:utf  type:utf  stateVersion:u32  pageSize:u32
///           pools:u16  { name:utf  npages:u64 }*
/// 2 pages   pool:u16  firstPage:u64  content                  pages of zeroes are left out
/// 3 driver  content                                           what DeviceState.save wrote, in parts
/// 4 end     pages:u64  driverBytes:u64
/// ```
///
/// Pages count from the start of a device's share of a pool, over its extents in order. Sections
/// come in the order of their tags, and pages in ascending order.
@NullMarked
package dev.mdev.core.devicestate;

import org.jspecify.annotations.NullMarked;
