package dev.mdev.pcisplit;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.api.layout.ParentLayout;
import dev.mdev.pcisplit.description.Description;
import dev.mdev.pcisplit.description.DescriptionFile;
import dev.mdev.pcisplit.description.Mistakes;
import dev.mdev.pcisplit.function.FunctionCheck;
import dev.mdev.pcisplit.function.PciFunction;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;

/// Shares PCI functions, each as a description in the folder `dir` says. A description that is
/// wrong, or whose function is not to be had, is reported with all its mistakes and left out, and
/// nothing of it is done; the others are shared.
///
/// | setting | meaning | range | default |
/// |---|---|---|---|
/// | `dir` | the folder of the descriptions, files `*.yaml` | | none: no function is shared |
/// | `look-millis` | how often the driver looks whether a function still answers | 10 to 60000 | 500 |
public final class PciSplitDriver implements ParentDriver {
    private static final int MOST_FILES = 256;

    private final Path sysfs;
    private final Path proc;
    private final Path dev;

    /// The names of the parents that are not closed, by the addresses of their functions.
    private final Map<String, String> shared = new ConcurrentHashMap<>();

    /// For [java.util.ServiceLoader]. [#probe] does all the work.
    public PciSplitDriver() {
        this(Path.of("/sys"), Path.of("/proc"), Path.of("/dev"));
    }

    /// @param sysfs where sysfs is mounted
    /// @param proc where the files of processes are
    /// @param dev where the files of devices are
    PciSplitDriver(Path sysfs, Path proc, Path dev) {
        this.sysfs = sysfs;
        this.proc = proc;
        this.dev = dev;
    }

    @Override
    public String name() {
        return "pci-split";
    }

    @Override
    public List<ParentDevice> probe(ParentHost host) {
        Duration look = Duration.ofMillis(host.number("look-millis", 500, 10, 60_000));
        Optional<Path> folder = host.setting("dir").map(Path::of);
        List<ParentDevice> parents = new ArrayList<>();
        Set<String> taken = new HashSet<>();
        for (Path file : folder.map(PciSplitDriver::filesOf).orElse(List.of())) {
            try {
                Description description = DescriptionFile.read(file);
                requireNew(description, taken);
                if (!host.isPresent(description.name())) {
                    parents.add(share(description, look, host));
                }
            } catch (MdevException e) {
                host.report(e.getMessage());
            }
        }
        return parents;
    }

    private static List<Path> filesOf(Path folder) {
        if (!Files.isDirectory(folder)) {
            throw new MdevException(Errno.ENOENT, "setting=dir: there is no folder " + folder);
        }
        try (Stream<Path> all = Files.list(folder)) {
            List<Path> files =
                    all.filter(file -> file.toString().endsWith(".yaml")).sorted().toList();
            if (files.size() > MOST_FILES) {
                throw new MdevException(
                        Errno.EINVAL, "setting=dir: more than %d files".formatted(MOST_FILES));
            }
            return files;
        } catch (IOException e) {
            throw new MdevException(Errno.EIO, "setting=dir: cannot list " + folder, e);
        }
    }

    private static void requireNew(Description description, Set<String> taken) {
        for (String key :
                List.of("function " + description.address(), "name " + description.name())) {
            if (!taken.add(key)) {
                throw new MdevException(
                        Errno.EEXIST,
                        "%s: another description has the %s".formatted(description.file(), key));
            }
        }
    }

    private SplitParent share(Description description, Duration look, ParentHost host) {
        PciFunction function = new PciFunction(sysfs, description.address());
        Mistakes mistakes = FunctionCheck.of(description, function, proc);
        if (!mistakes.isEmpty()) {
            throw new MdevException(Errno.ENODEV, description.file() + ": " + mistakes);
        }
        take(description);
        SplitParent parent = null;
        boolean isShared = false;
        try {
            function.enable();
            parent =
                    SplitParent.open(
                            description, function, host, () -> shared.remove(function.address()));
            var _ = ParentLayout.of(parent);
            parent.listen(dev);
            parent.watch(look);
            isShared = true;
            return parent;
        } catch (MdevException e) {
            throw new MdevException(e.errno(), description.file() + ": " + e.getMessage(), e);
        } finally {
            if (!isShared && parent != null) {
                parent.close();
            } else if (!isShared) {
                shared.remove(function.address());
            }
        }
    }

    /// A description may have got another name while the function is shared by its former one: two
    /// parents would hand out the same pages.
    private void take(Description description) {
        String parent = shared.putIfAbsent(description.address(), description.name());
        if (parent != null) {
            throw new MdevException(
                    Errno.EBUSY,
                    "%s: function %s is shared as parent=%s: remove that first"
                            .formatted(description.file(), description.address(), parent));
        }
    }
}
