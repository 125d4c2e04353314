package dev.mdev.api;

import dev.mdev.api.page.Caching;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

import java.util.Objects;
import java.util.Optional;

/// A driver's answer to a [MapRequest].
public sealed interface MapDecision {
    /// Map these physical pages.
    ///
    /// @param firstPage the page of the region where the first of `pfns` goes; the pages after it
    ///   follow in order
    /// @param pfns the physical pages
    /// @param prot the rights, not [Prot#NONE]
    /// @param caching the memory type that the mapping must have, or nothing if any will do. The
    ///   aperture decides it ([Aperture#cachingOf]): the host refuses a grant that asks for another
    record Grant(long firstPage, PfnRange pfns, Prot prot, Optional<Caching> caching)
            implements MapDecision {
        public Grant {
            Objects.requireNonNull(pfns);
            Objects.requireNonNull(prot);
            Objects.requireNonNull(caching);
        }

        /// A grant with any memory type.
        public Grant(long firstPage, PfnRange pfns, Prot prot) {
            this(firstPage, pfns, prot, Optional.empty());
        }

        /// The same grant, if the mapping has this memory type.
        public Grant withCaching(Caching type) {
            return new Grant(firstPage, pfns, prot, Optional.of(type));
        }
    }

    /// Map these pages of an elastic share, wherever they are: the host picks a physical page for
    /// each that has none, and brings its content back if it was taken away.
    ///
    /// The host may map fewer pages than these, but always the accessed one.
    ///
    /// @param firstPage the page of the region where page `sharePage` goes; the pages after it
    ///   follow in order
    /// @param pool the pool of an elastic demand of the device's type
    /// @param sharePage the first page, counted from the start of the share
    /// @param npages pages, at least 1
    /// @param prot the rights, not [Prot#NONE]
    record FromPool(long firstPage, String pool, long sharePage, long npages, Prot prot)
            implements MapDecision {
        public FromPool {
            Objects.requireNonNull(pool);
            Objects.requireNonNull(prot);
        }

        /// The page of the share that goes to a page of the region.
        public long sharePageAt(long regionPage) {
            return sharePage + (regionPage - firstPage);
        }
    }

    /// Map nothing; [MdevDevice#read] or [MdevDevice#write] serves this access.
    record Trap() implements MapDecision {}

    /// Map nothing; the guest's access fails.
    ///
    /// @param reason for the operator
    record Deny(String reason) implements MapDecision {
        public Deny {
            Objects.requireNonNull(reason);
        }
    }

    /// Map nothing yet, and ask once more: the device has to do something else first, and needs its
    /// turn for that.
    ///
    /// The host gives the device's turn up, so that its other callbacks and its steps run, pauses
    /// for at most 10 ms, and sends the same request again. If the driver has not decided when the
    /// deadline of a callback is over, the access fails with ETIMEDOUT. The host does not repeat a
    /// request that no guest waits for ([MapRequest.Reason#PREFETCH]), nor one from inside a
    /// callback of the same device, which keeps the turn: they fail with EAGAIN.
    ///
    /// @param reason what the device waits for, for the operator
    record Again(String reason) implements MapDecision {
        public Again {
            Objects.requireNonNull(reason);
        }
    }

    /// Grants one page for the accessed page.
    static MapDecision grantPage(MapRequest request, long pfn, Prot prot) {
        return new Grant(request.page(), new PfnRange(pfn, 1), prot);
    }
}
