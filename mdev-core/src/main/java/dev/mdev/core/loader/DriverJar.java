package dev.mdev.core.loader;

import dev.mdev.api.ParentDriver;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.jar.JarFile;
import java.util.jar.Manifest;
import java.util.zip.ZipEntry;

/// What must be right about a jar before any class of it is loaded.
final class DriverJar {
    /// The manifest's attribute with the level of the driver interface that the jar was made for. A
    /// jar without it counts as level 1.
    static final String API_LEVEL = "Mdev-Api-Level";

    private static final String SERVICE = "META-INF/services/" + ParentDriver.class.getName();
    private static final int MAX_MANIFEST_BYTES = 1 << 16;

    /// Packages that only the framework may bring.
    private static final List<String> FRAMEWORK =
            List.of("dev/mdev/api/", "dev/mdev/core/", "dev/mdev/host/");

    private DriverJar() {}

    /// Why the file is no jar of drivers for this host, if it is none.
    static Optional<String> trouble(Path file) {
        try {
            requireFile(file);
            try (JarFile jar = new JarFile(file.toFile())) {
                return trouble(jar);
            }
        } catch (IOException | RuntimeException e) {
            return Optional.of("not a driver jar: " + e);
        }
    }

    /// A text that says whether two files have the same content.
    ///
    /// @throws IOException if the file cannot be read
    static String digest(Path file) throws IOException {
        requireFile(file);
        try (InputStream in = Files.newInputStream(file);
                DigestInputStream digested =
                        new DigestInputStream(in, MessageDigest.getInstance("SHA-256"))) {
            digested.transferTo(OutputStream.nullOutputStream());
            return HexFormat.of().formatHex(digested.getMessageDigest().digest());
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    /// A pipe would keep its reader.
    private static void requireFile(Path file) throws IOException {
        if (!Files.isRegularFile(file)) {
            throw new IOException("not a regular file");
        }
    }

    private static Optional<String> trouble(JarFile jar) throws IOException {
        if (jar.getEntry(SERVICE) == null) {
            return Optional.of("not a driver jar: no " + SERVICE);
        }
        Optional<String> foreign =
                jar.stream()
                        .map(ZipEntry::getName)
                        .filter(name -> name.endsWith(".class"))
                        .filter(name -> FRAMEWORK.stream().anyMatch(name::startsWith))
                        .findFirst();
        if (foreign.isPresent()) {
            return Optional.of("brings a class of the framework: " + foreign.get());
        }
        return levelTrouble(jar);
    }

    private static Optional<String> levelTrouble(JarFile jar) throws IOException {
        ZipEntry entry = jar.getEntry(JarFile.MANIFEST_NAME);
        if (entry == null) {
            return Optional.empty();
        }
        byte[] bytes;
        try (InputStream in = jar.getInputStream(entry)) {
            bytes = in.readNBytes(MAX_MANIFEST_BYTES + 1);
        }
        if (bytes.length > MAX_MANIFEST_BYTES) {
            return Optional.of("its manifest has more than %d bytes".formatted(MAX_MANIFEST_BYTES));
        }
        String level =
                new Manifest(new ByteArrayInputStream(bytes))
                        .getMainAttributes()
                        .getValue(API_LEVEL);
        if (level == null || level.strip().equals(Integer.toString(ParentDriver.API_LEVEL))) {
            return Optional.empty();
        }
        return Optional.of(
                "made for %s %s, and this host has level %d"
                        .formatted(
                                API_LEVEL,
                                level.length() <= 20 ? level : level.substring(0, 20) + "...",
                                ParentDriver.API_LEVEL));
    }
}
