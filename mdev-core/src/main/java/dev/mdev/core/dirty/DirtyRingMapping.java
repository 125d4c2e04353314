package dev.mdev.core.dirty;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

/// The rules for mapping a vCPU's file descriptor at its dirty ring (Linux `kvm_vcpu_mmap`).
public final class DirtyRingMapping {
    /// The page of the file at which the ring begins (`KVM_DIRTY_LOG_PAGE_OFFSET`).
    public static final long FIRST_PAGE = 64;

    private DirtyRingMapping() {}

    /// A request to map.
    ///
    /// @param firstPage first page of the file
    /// @param npages pages, at least 1
    /// @param shared whether the mapping is shared
    /// @param executable whether the mapping may be executed
    public record Request(long firstPage, long npages, boolean shared, boolean executable) {}

    /// Checks a request. As in Linux, it checks only the first and the last page: a private mapping
    /// that begins before the ring and ends after it passes.
    ///
    /// @param ringPages pages of the ring, 0 without a ring
    /// @throws MdevException `EINVAL` for a mapping of the ring that is private or executable
    public static void check(Request request, long ringPages) {
        long lastPage = request.firstPage() + request.npages() - 1;
        boolean touches = isInRing(request.firstPage(), ringPages) || isInRing(lastPage, ringPages);
        if (touches && (!request.shared() || request.executable())) {
            throw new MdevException(Errno.EINVAL, request + " ringPages=" + ringPages);
        }
    }

    private static boolean isInRing(long page, long ringPages) {
        return page >= FIRST_PAGE && page < FIRST_PAGE + ringPages;
    }
}
