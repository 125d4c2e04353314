package dev.mdev.core.sync;

/// What [Srcu] and its planted variants have in common.
interface ReadSections {
    int readLock();

    void readUnlock(int token);

    /// Whether all sections that were open have ended; looks at each phase once.
    boolean trySynchronize();

    static ReadSections of(Srcu srcu) {
        return new ReadSections() {
            @Override
            public int readLock() {
                return srcu.readLock();
            }

            @Override
            public void readUnlock(int token) {
                srcu.readUnlock(token);
            }

            @Override
            public boolean trySynchronize() {
                return srcu.trySynchronize(1);
            }
        };
    }
}
