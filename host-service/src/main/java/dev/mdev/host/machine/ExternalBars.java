package dev.mdev.host.machine;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.RegionInfo;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.engine.EngineProbe;
import dev.mdev.core.engine.barfile.BarFile;
import dev.mdev.core.engine.barfile.BarFileOptions;
import dev.mdev.core.engine.barfile.BarFileSystem;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.vfiouser.BarFiles;

import jakarta.annotation.PostConstruct;
import jakarta.annotation.PreDestroy;

import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.stereotype.Component;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;

/// The files through which guests of other programs map BARs. The file system is mounted when the
/// first of them is asked for.
@Component
class ExternalBars implements BarFiles {
    private static final Logger log = LoggerFactory.getLogger(ExternalBars.class);
    private static final String FOLDER = "bars";

    private final HostMemory memory;
    private final SocketProperties properties;
    private final ReentrantLock mounting = new ReentrantLock();

    @GuardedBy("mounting")
    private @Nullable BarFileSystem files;

    @GuardedBy("mounting")
    private boolean trapped;

    ExternalBars(HostMemory memory, SocketProperties properties) {
        this.memory = memory;
        this.properties = properties;
        this.trapped = properties.barFiles() == SocketProperties.Bars.OFF;
    }

    /// A service that was killed has left its mount: it goes away now, with the files in it.
    @PostConstruct
    void replaceFormerMount() {
        if (Files.isDirectory(folder())) {
            try {
                var _ = mounted();
            } catch (MdevException e) {
                log.warn("no files of BARs: {}", e.getMessage());
            }
        }
    }

    private Path folder() {
        return properties.socketDir().toAbsolutePath().resolve(FOLDER);
    }

    /// @throws MdevException EOPNOTSUPP if the operator wants files, and this machine has none
    @Override
    public Optional<BarFile> open(MdevAssignment assignment, RegionInfo region) {
        BarFileSystem mounted = mounted();
        return mounted == null ? Optional.empty() : Optional.of(mounted.open(assignment, region));
    }

    private @Nullable BarFileSystem mounted() {
        mounting.lock();
        try {
            if (files == null && !trapped) {
                files = mountLocked();
            }
            return files;
        } finally {
            mounting.unlock();
        }
    }

    @GuardedBy("mounting")
    private @Nullable BarFileSystem mountLocked() {
        EngineProbe probe = BarFileSystem.probe();
        if (probe.isAvailable()) {
            return BarFileSystem.mount(
                    folder(),
                    memory,
                    BarFileOptions.DEFAULT.withRefused(properties.refusedPages()));
        }
        if (properties.barFiles() == SocketProperties.Bars.ON) {
            throw new MdevException(
                    Errno.EOPNOTSUPP, "mdev.bar-files=on, but: " + probe.findings());
        }
        log.warn("guests of other programs get no files of BARs: {}", probe.findings());
        trapped = true;
        return null;
    }

    @PreDestroy
    void unmount() {
        mounting.lock();
        try {
            trapped = true;
            if (files != null) {
                files.close();
                files = null;
            }
        } finally {
            mounting.unlock();
        }
    }
}
