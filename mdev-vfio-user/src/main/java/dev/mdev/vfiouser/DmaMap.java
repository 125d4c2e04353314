package dev.mdev.vfiouser;

import dev.mdev.api.page.Page;
import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.sys.NativeFd;

/// A range of the guest's addresses that the client has mapped for the device.
///
/// @param slot its memory slot
/// @param hvas the host addresses of the slot
record DmaMap(int slot, Request request, HvaRange hvas, Reach reach) {
    /// What the client asked for.
    ///
    /// @param iova a multiple of the page size
    /// @param sizeBytes likewise, at least one page
    record Request(long iova, long sizeBytes, boolean writable) {
        GfnRange gfns() {
            return new GfnRange(Page.numberOf(iova), Page.numberOf(sizeBytes));
        }

        long endIova() {
            return iova + sizeBytes;
        }

        @Override
        public String toString() {
            return "iova=0x%x sizeBytes=0x%x writable=%b".formatted(iova, sizeBytes, writable);
        }
    }

    /// How its bytes are reached.
    sealed interface Reach {
        /// Through a mapping in this process.
        record Memory(MappedFiles.MappedFile file) implements Reach {}

        /// By calls on a file.
        ///
        /// @param fd the map's own
        record File(NativeFd fd, long offsetBytes) implements Reach {}

        /// By messages to the client.
        record Messages() implements Reach {}
    }

    long iova() {
        return request.iova;
    }

    long endIova() {
        return request.endIova();
    }

    GfnRange gfns() {
        return request.gfns();
    }

    boolean contains(long at) {
        return at >= iova() && at < endIova();
    }
}
