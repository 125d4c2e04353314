package dev.mdev.core.store;

import dev.mdev.api.Errno;

import java.io.ByteArrayOutputStream;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/// Files that last as long as this object: for a host that keeps no state.
public final class MemoryFiles implements StateFiles {
    private final Map<String, ByteArrayOutputStream> files = new ConcurrentHashMap<>();

    @Override
    public List<String> list() {
        return List.copyOf(files.keySet());
    }

    @Override
    public Optional<byte[]> read(String name, int maxBytes) {
        ByteArrayOutputStream file = files.get(StateFiles.checkName(name));
        if (file == null) {
            return Optional.empty();
        }
        byte[] content = file.toByteArray();
        if (content.length > maxBytes) {
            throw new StoreException(
                    Errno.EFBIG, "file=%s sizeBytes=%d".formatted(name, content.length));
        }
        return Optional.of(content);
    }

    @Override
    public void write(String name, byte[] content) {
        ByteArrayOutputStream file = new ByteArrayOutputStream(content.length);
        file.writeBytes(content);
        files.put(StateFiles.checkName(name), file);
    }

    @Override
    public void append(String name, byte[] bytes, boolean durable) {
        files.computeIfAbsent(StateFiles.checkName(name), _ -> new ByteArrayOutputStream())
                .writeBytes(bytes);
    }

    @Override
    public void truncate(String name, long sizeBytes) {
        files.computeIfPresent(
                StateFiles.checkName(name),
                (_, file) -> {
                    byte[] content = file.toByteArray();
                    ByteArrayOutputStream shorter = new ByteArrayOutputStream(content.length);
                    shorter.write(content, 0, (int) Math.min(sizeBytes, content.length));
                    return shorter;
                });
    }

    @Override
    public void rename(String from, String to) {
        ByteArrayOutputStream file = files.remove(StateFiles.checkName(from));
        if (file == null) {
            throw new StoreException(Errno.ENOENT, "file=" + from);
        }
        files.put(StateFiles.checkName(to), file);
    }

    @Override
    public void delete(String name) {
        files.remove(StateFiles.checkName(name));
    }

    @Override
    public void close() {}
}
