package dev.mdev.pcisplit.description;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.pcisplit.description.Description.DeviceType;
import dev.mdev.pcisplit.description.Description.Ids;
import dev.mdev.pcisplit.description.Description.Pool;

import org.jspecify.annotations.Nullable;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.Yaml;
import org.yaml.snakeyaml.error.MarkedYAMLException;
import org.yaml.snakeyaml.error.YAMLException;
import org.yaml.snakeyaml.nodes.Node;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/// Reads a description, and names everything that is wrong with it.
public final class DescriptionFile {
    /// The maximum size of a file.
    static final int MAX_BYTES = 1 << 20;

    private static final int MAX_DEPTH = 20;
    private static final int LAST_BAR = 5;

    /// The largest BAR: as large as addresses of processors are.
    private static final long MAX_BAR_BYTES = 1L << 52;

    static final Pattern ADDRESS = Pattern.compile("[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\\.[0-7]");
    static final Pattern LINE = Pattern.compile("[^\\p{Cntrl}]{1,256}");
    private static final Pattern PARENT = Pattern.compile("[A-Za-z0-9.:_-]{1,64}");
    private static final Pattern KERNEL_DRIVER = Pattern.compile("[A-Za-z0-9_-]{1,64}");
    private static final Pattern POOL = Pattern.compile("[a-z0-9-]{1,32}");

    private final String file;
    private final Mistakes mistakes = new Mistakes();

    private DescriptionFile(String file) {
        this.file = file;
    }

    /// Reads a file.
    ///
    /// @throws MdevException EINVAL with all mistakes and their lines; EIO if it is unreadable
    public static Description read(Path file) {
        String name = String.valueOf(file.getFileName());
        return parse(name, bytesOf(file));
    }

    /// A file that is no regular one could block, or be endless.
    private static byte[] bytesOf(Path file) {
        if (!Files.isRegularFile(file)) {
            throw new MdevException(Errno.EINVAL, file.getFileName() + ": not a regular file");
        }
        try (InputStream in = Files.newInputStream(file)) {
            byte[] bytes = in.readNBytes(MAX_BYTES + 1);
            if (bytes.length > MAX_BYTES) {
                throw new MdevException(
                        Errno.EFBIG, file.getFileName() + ": more than " + MAX_BYTES + " bytes");
            }
            return bytes;
        } catch (IOException e) {
            throw new MdevException(Errno.EIO, file.getFileName() + ": unreadable: " + e, e);
        }
    }

    /// Reads the content of a file.
    ///
    /// @param file its name, for messages
    /// @throws MdevException EINVAL with all mistakes and their lines
    static Description parse(String file, byte[] content) {
        return new DescriptionFile(file).parse(content);
    }

    private Description parse(byte[] content) {
        Description description = null;
        Node root = compose(content);
        if (root == null) {
            mistakes.add("the file is empty");
        } else {
            description = description(new Fields(mistakes, root, ""));
        }
        if (description != null && mistakes.isEmpty()) {
            DescriptionRules.check(description, mistakes);
        }
        if (description == null || !mistakes.isEmpty()) {
            throw new MdevException(Errno.EINVAL, file + ": " + mistakes);
        }
        return description;
    }

    private @Nullable Node compose(byte[] content) {
        LoaderOptions options = new LoaderOptions();
        options.setNestingDepthLimit(MAX_DEPTH);
        options.setCodePointLimit(MAX_BYTES);
        // A decoder that replaces what is no UTF-8 would change names.
        Reader text =
                new InputStreamReader(
                        new ByteArrayInputStream(content), StandardCharsets.UTF_8.newDecoder());
        try {
            return new Yaml(options).compose(text);
        } catch (MarkedYAMLException e) {
            throw noYaml(
                    "line %d: %s"
                            .formatted(
                                    e.getProblemMark() == null
                                            ? 1
                                            : e.getProblemMark().getLine() + 1,
                                    e.getProblem()),
                    e);
        } catch (YAMLException e) {
            throw noYaml(String.valueOf(e.getMessage()), e);
        }
    }

    private MdevException noYaml(String why, Exception e) {
        return new MdevException(Errno.EINVAL, "%s: no YAML: %s".formatted(file, why), e);
    }

    private Description description(Fields fields) {
        String address = fields.text("function", ADDRESS);
        Description description =
                new Description(
                        file,
                        address,
                        fields.text("name", PARENT, address),
                        fields.text("description", LINE, "PCI function " + address),
                        expected(fields),
                        Optional.of(fields.text("stub", KERNEL_DRIVER, ""))
                                .filter(stub -> !stub.isEmpty()),
                        fields.flag("force"),
                        pools(fields.map("pools")),
                        types(fields.map("types")));
        fields.end();
        return description;
    }

    private static Optional<Ids> expected(Fields fields) {
        if (!fields.has("expect")) {
            return Optional.empty();
        }
        Fields ids = fields.map("expect");
        Ids expected =
                new Ids(
                        (int) ids.number("vendor", 0, 0xffff),
                        (int) ids.number("device", 0, 0xffff));
        ids.end();
        return Optional.of(expected);
    }

    private static List<Pool> pools(Fields fields) {
        List<Pool> pools = new ArrayList<>();
        for (String name : fields.keys()) {
            if (!POOL.matcher(name).matches()) {
                fields.mistake(name, "is not the name of a pool: " + POOL);
            }
            Fields pool = fields.map(name);
            pools.add(
                    new Pool(
                            name,
                            barOf(pool),
                            pool.pages("offset", 0, MAX_BAR_BYTES, 0),
                            sizeOf(pool, "size"),
                            pool.flag("write-combining"),
                            pool.text("content", Pattern.compile("memory|registers"), "memory")
                                    .equals("memory")));
            pool.end();
        }
        return pools;
    }

    private static List<DeviceType> types(Fields fields) {
        return fields.keys().stream().map(id -> TypeReader.read(id, fields)).toList();
    }

    /// A BAR of the function.
    static int barOf(Fields fields) {
        return (int) fields.number("bar", 0, LAST_BAR);
    }

    /// A size that must be there: whole pages.
    static long sizeOf(Fields fields, String key) {
        if (!fields.has(key)) {
            return fields.number(key, 1, MAX_BAR_BYTES);
        }
        return fields.pages(key, Page.SIZE, MAX_BAR_BYTES, 0);
    }
}
