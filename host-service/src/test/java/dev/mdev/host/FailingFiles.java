package dev.mdev.host;

import dev.mdev.api.Errno;
import dev.mdev.core.store.MemoryFiles;
import dev.mdev.core.store.StateFiles;
import dev.mdev.core.store.StoreException;

import org.jspecify.annotations.Nullable;
import org.springframework.boot.test.context.TestConfiguration;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Primary;

import java.util.List;
import java.util.Optional;

/// A state directory that fails all writes while a test requests it. It fails when the service
/// starts.
final class FailingFiles implements StateFiles {
    private final MemoryFiles files = new MemoryFiles();
    private volatile @Nullable Errno failure = Errno.ENOSPC;

    @TestConfiguration(proxyBeanMethods = false)
    static class Beans {
        @Bean(destroyMethod = "")
        @Primary
        FailingFiles failingFiles() {
            return new FailingFiles();
        }
    }

    /// Lets every change fail, or none.
    void failWith(@Nullable Errno errno) {
        failure = errno;
    }

    private void requireWorking(String name) {
        Errno errno = failure;
        if (errno != null) {
            throw new StoreException(errno, "cannot write " + name + " in directory=/tests");
        }
    }

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
        requireWorking(name);
        files.write(name, content);
    }

    @Override
    public void append(String name, byte[] bytes, boolean durable) {
        requireWorking(name);
        files.append(name, bytes, durable);
    }

    @Override
    public void truncate(String name, long sizeBytes) {
        requireWorking(name);
        files.truncate(name, sizeBytes);
    }

    @Override
    public void rename(String from, String to) {
        requireWorking(from);
        files.rename(from, to);
    }

    @Override
    public void delete(String name) {
        requireWorking(name);
        files.delete(name);
    }

    @Override
    public void close() {
        files.close();
    }
}
