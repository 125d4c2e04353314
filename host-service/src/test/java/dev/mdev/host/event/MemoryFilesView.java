package dev.mdev.host.event;

import dev.mdev.core.store.MemoryFiles;
import dev.mdev.core.store.StateFiles;

import java.util.List;
import java.util.Optional;

/// Files in memory whose writes may fail.
abstract class MemoryFilesView implements StateFiles {
    private final MemoryFiles files = new MemoryFiles();

    /// Throws if the next write is to fail.
    abstract void check();

    @Override
    public List<String> list() {
        return files.list();
    }

    @Override
    public Optional<byte[]> read(String name, int maxBytes) {
        return files.read(name, maxBytes);
    }

    @Override
    public void write(String name, byte[] content) {
        check();
        files.write(name, content);
    }

    @Override
    public void append(String name, byte[] bytes, boolean durable) {
        check();
        files.append(name, bytes, durable);
    }

    @Override
    public void truncate(String name, long sizeBytes) {
        check();
        files.truncate(name, sizeBytes);
    }

    @Override
    public void rename(String from, String to) {
        check();
        files.rename(from, to);
    }

    @Override
    public void delete(String name) {
        check();
        files.delete(name);
    }

    @Override
    public void close() {
        files.close();
    }
}
