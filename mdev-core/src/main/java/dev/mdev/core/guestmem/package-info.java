/// How the host reads and writes guest memory through the memory slots (Linux `kvm_read_guest`,
/// `kvm_write_guest`, `kvm_gfn_to_hva_cache_init`).
@NullMarked
package dev.mdev.core.guestmem;

import org.jspecify.annotations.NullMarked;
