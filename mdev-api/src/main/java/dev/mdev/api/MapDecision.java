package dev.mdev.api;

import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

import java.util.Objects;

/// A driver's answer to a [MapRequest].
public sealed interface MapDecision {
    /// Map these physical pages.
    ///
    /// @param firstPage the page of the region where the first of `pfns` goes; the pages after it
    ///   follow in order
    /// @param pfns the physical pages
    /// @param prot the rights, not [Prot#NONE]
    record Grant(long firstPage, PfnRange pfns, Prot prot) implements MapDecision {
        public Grant {
            Objects.requireNonNull(pfns);
            Objects.requireNonNull(prot);
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

    /// Grants one page for the accessed page.
    static MapDecision grantPage(MapRequest request, long pfn, Prot prot) {
        return new Grant(request.page(), new PfnRange(pfn, 1), prot);
    }
}
