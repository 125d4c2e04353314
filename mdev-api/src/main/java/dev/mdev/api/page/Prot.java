package dev.mdev.api.page;

/// The rights of a mapping. A writable mapping is also readable.
public enum Prot {
    /// No access: the range is only reserved.
    NONE,
    /// Loads only.
    READ,
    /// Loads and stores.
    READ_WRITE;

    /// Whether these rights suffice for `access`.
    public boolean allows(Access access) {
        return switch (access) {
            case READ -> this != NONE;
            case WRITE -> this == READ_WRITE;
        };
    }

    /// Whether these rights include all of `other`.
    public boolean includes(Prot other) {
        return compareTo(other) >= 0;
    }

    /// The rights that both this and `other` have.
    public Prot and(Prot other) {
        return compareTo(other) <= 0 ? this : other;
    }
}
