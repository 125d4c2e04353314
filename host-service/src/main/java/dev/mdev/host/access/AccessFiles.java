package dev.mdev.host.access;

import dev.mdev.core.store.DirectoryFiles;
import dev.mdev.core.store.MemoryFiles;
import dev.mdev.core.store.StateFiles;
import dev.mdev.host.bus.BusProperties;

import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.stereotype.Component;

/// The files of tokens, tenants and the audit log: the folder `access` of the state directory. A
/// service that remembers nothing has them in memory.
@Component
final class AccessFiles implements AutoCloseable {
    private static final String FOLDER = "access";

    private final StateFiles files;

    @Autowired
    AccessFiles(BusProperties properties) {
        this(
                properties.stateDir() == null
                        ? new MemoryFiles()
                        : new DirectoryFiles(properties.stateDir().resolve(FOLDER)));
    }

    AccessFiles(StateFiles files) {
        this.files = files;
    }

    StateFiles files() {
        return files;
    }

    @Override
    public void close() {
        files.close();
    }
}
