package dev.mdev.core.kernelbus;

import dev.mdev.api.MdevException;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/// The processes that have files of VFIO open, as procfs shows them at one moment. Without root,
/// those of other users are hidden.
final class VfioUsers {
    private static final String VFIO = "/vfio/";

    private final Map<String, List<String>> byFile;

    private VfioUsers(Map<String, List<String>> byFile) {
        this.byFile = byFile;
    }

    /// Looks at all processes.
    ///
    /// @param procfs where procfs is mounted
    static VfioUsers now(KernelFiles files, String procfs) {
        Map<String, List<String>> byFile = new HashMap<>();
        for (String pid : files.list(procfs)) {
            if (!pid.matches("[0-9]+")) {
                continue;
            }
            Set<String> open = opened(files, procfs + "/" + pid + "/fd");
            if (!open.isEmpty()) {
                String who = "%s (pid %s)".formatted(name(files, procfs, pid), pid);
                open.forEach(file -> byFile.computeIfAbsent(file, _ -> new ArrayList<>()).add(who));
            }
        }
        return new VfioUsers(byFile);
    }

    private static Set<String> opened(KernelFiles files, String folder) {
        Set<String> open = new TreeSet<>();
        try {
            for (String fd : files.list(folder)) {
                files.link(folder + "/" + fd).filter(it -> it.contains(VFIO)).ifPresent(open::add);
            }
        } catch (MdevException e) {
            // A process of another user, or one that has just ended.
            return Set.of();
        }
        return open;
    }

    private static String name(KernelFiles files, String procfs, String pid) {
        try {
            return files.read(procfs + "/" + pid + "/comm").replaceAll("\\p{Cntrl}", "?");
        } catch (MdevException e) {
            return "a process";
        }
    }

    /// The processes that have one of the files open.
    Optional<String> of(List<String> paths) {
        Set<String> all = new TreeSet<>();
        paths.forEach(path -> all.addAll(byFile.getOrDefault(path, List.of())));
        return all.isEmpty() ? Optional.empty() : Optional.of(String.join(", ", all));
    }
}
