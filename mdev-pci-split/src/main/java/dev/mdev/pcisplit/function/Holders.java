package dev.mdev.pcisplit.function;

import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/// Which processes have files open, as `/proc` tells. It tells of processes of other users only to
/// a privileged one.
final class Holders {
    private final Path proc;

    Holders(Path proc) {
        this.proc = proc;
    }

    /// The processes that have a file below a folder open, or one of some files: each as
    /// `name[pid]`.
    Set<String> of(Path folder, Set<Path> files) {
        Set<String> holders = new TreeSet<>();
        for (Path process : childrenOf(proc, "[0-9]*")) {
            for (Path descriptor : childrenOf(process.resolve("fd"), "*")) {
                Path open = targetOf(descriptor);
                if (open.startsWith(folder) || files.contains(open)) {
                    holders.add(nameOf(process));
                }
            }
        }
        holders.remove(nameOf(proc.resolve(Long.toString(ProcessHandle.current().pid()))));
        return holders;
    }

    /// Nothing if the folder is unreadable, or its process ends.
    private static List<Path> childrenOf(Path folder, String pattern) {
        List<Path> children = new ArrayList<>();
        try (DirectoryStream<Path> stream = Files.newDirectoryStream(folder, pattern)) {
            stream.forEach(children::add);
        } catch (IOException | DirectoryIteratorException e) {
            return children;
        }
        return children;
    }

    private static Path targetOf(Path link) {
        try {
            return Files.readSymbolicLink(link);
        } catch (IOException e) {
            // It was closed since.
            return Path.of("");
        }
    }

    private static String nameOf(Path process) {
        String name;
        try {
            name = Files.readString(process.resolve("comm")).strip();
        } catch (IOException e) {
            // It has ended since.
            name = "?";
        }
        return name + "[" + process.getFileName() + "]";
    }
}
