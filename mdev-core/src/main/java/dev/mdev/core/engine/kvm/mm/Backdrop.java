package dev.mdev.core.engine.kvm.mm;

import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.engine.kvm.mm.VmaMap.Part;
import dev.mdev.core.engine.kvm.mm.VmaMap.Target;

import org.jspecify.annotations.Nullable;

import java.util.List;

/// What the kernel shows in a range where nothing is granted.
///
/// @param start what is at the start of the range; the rest is parallel to it
/// @param adopted whether it is the block of the grants. Its pages exist in the file, so that they
///   are never absent: it must also be registered for minor faults
/// @param continuing whether all of an adopted backdrop is registered, so that `UFFDIO_CONTINUE`
///   works
record Backdrop(HvaRange range, Target start, boolean adopted, boolean continuing) {
    /// A part of a file.
    ///
    /// @param offsetBytes where it begins
    record FileExtent(long offsetBytes, long lengthBytes) {}

    Target at(long hva) {
        return start.plus(hva - range.startHva());
    }

    /// Whether a grant can be entered by `UFFDIO_CONTINUE`.
    boolean isParallel(HvaRange part, Target target) {
        return continuing && at(part.startHva()).equals(target);
    }

    /// Whether these mappings show nothing else.
    boolean isAllOf(List<Part> pieces) {
        return pieces.stream()
                .allMatch(piece -> piece.target().equals(at(piece.range().startHva())));
    }

    /// The block that a grant is from as the backdrop, if the whole range fits into it in parallel;
    /// else null. From then on its pages are entered by `UFFDIO_CONTINUE`, without a kernel mapping
    /// for each run. That the backdrop shows pages which are not granted is safe as long as it is
    /// registered, and it is from before it may be touched until after it is gone.
    @Nullable Backdrop adopting(HvaRange part, Target target, FileExtent block) {
        long first = target.offsetBytes() - (part.startHva() - range.startHva());
        boolean fits =
                target.prot() == KernelRange.READ_WRITE
                        && first >= block.offsetBytes
                        && first + range.lengthBytes() <= block.offsetBytes + block.lengthBytes;
        return fits
                ? new Backdrop(
                        range, new Target(target.file(), first, KernelRange.READ_WRITE), true, true)
                : null;
    }

    /// The same, of which a part could not be registered.
    Backdrop withoutContinuing() {
        return new Backdrop(range, start, adopted, false);
    }
}
