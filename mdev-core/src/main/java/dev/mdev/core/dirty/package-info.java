/// Dirty tracking: which guest frames were written, as bitmaps and as rings, and the view by
/// backing memory. Linux `kvm_vm_ioctl_get_dirty_log_protect` and `virt/kvm/dirty_ring.c`.
@NullMarked
package dev.mdev.core.dirty;

import org.jspecify.annotations.NullMarked;
