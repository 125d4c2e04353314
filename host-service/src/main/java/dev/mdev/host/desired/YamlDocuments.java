package dev.mdev.host.desired;

import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;

import org.jspecify.annotations.Nullable;
import org.springframework.http.HttpInputMessage;
import org.springframework.http.HttpOutputMessage;
import org.springframework.http.MediaType;
import org.springframework.http.converter.AbstractHttpMessageConverter;
import org.springframework.http.converter.HttpMessageNotReadableException;
import org.springframework.stereotype.Component;
import org.yaml.snakeyaml.DumperOptions;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.Yaml;
import org.yaml.snakeyaml.constructor.SafeConstructor;
import org.yaml.snakeyaml.error.YAMLException;
import org.yaml.snakeyaml.nodes.Tag;
import org.yaml.snakeyaml.representer.Representer;
import org.yaml.snakeyaml.resolver.Resolver;

import tools.jackson.core.JacksonException;
import tools.jackson.databind.json.JsonMapper;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.regex.Pattern;

/// Reads documents in YAML as strictly as those in JSON.
@Component
final class YamlDocuments extends AbstractHttpMessageConverter<DesiredState> {
    static final String TYPE = "application/yaml";

    private static final int MAX_DEPTH = 16;

    private final JsonMapper mapper;

    YamlDocuments(JsonMapper mapper) {
        super(MediaType.parseMediaType(TYPE));
        this.mapper = mapper;
    }

    /// The plain words that YAML 1.2 reads as other than text, with the numbers of JSON. YAML 1.1
    /// would read `no` as false, `010` as 8, and a date as a time.
    private static final class PlainWords extends Resolver {
        private static final Pattern BOOLEAN = Pattern.compile("true|false");

        /// No more digits than the largest number here has: the time to read more grows with their
        /// square. Longer ones are fractions, which no field takes.
        private static final Pattern WHOLE = Pattern.compile("-?(0|[1-9][0-9]{0,18})");

        private static final Pattern FRACTION =
                Pattern.compile("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][-+]?[0-9]+)?");
        private static final Pattern NOTHING = Pattern.compile("~|null");
        private static final String DIGITS = "-0123456789";

        @Override
        protected void addImplicitResolvers() {
            addImplicitResolver(Tag.BOOL, BOOLEAN, "tf");
            addImplicitResolver(Tag.INT, WHOLE, DIGITS);
            addImplicitResolver(Tag.FLOAT, FRACTION, DIGITS);
            addImplicitResolver(Tag.NULL, NOTHING, "~n");
            addImplicitResolver(Tag.NULL, EMPTY, null);
        }
    }

    @Override
    protected boolean supports(Class<?> type) {
        return type == DesiredState.class;
    }

    @Override
    protected boolean canWrite(@Nullable MediaType type) {
        return false;
    }

    @Override
    protected DesiredState readInternal(
            Class<? extends DesiredState> type, HttpInputMessage message) throws IOException {
        byte[] bytes = message.getBody().readAllBytes();
        try {
            return parse(bytes);
        } catch (JacksonException e) {
            throw new HttpMessageNotReadableException("not a document", e, message);
        }
    }

    /// @throws ProblemException if it is not YAML
    /// @throws JacksonException if it is not a document
    DesiredState parse(byte[] bytes) {
        Object read;
        try {
            read =
                    yaml().load(
                                    StandardCharsets.UTF_8
                                            .newDecoder()
                                            .decode(ByteBuffer.wrap(bytes))
                                            .toString());
        } catch (CharacterCodingException e) {
            throw new ProblemException(Problem.MALFORMED, "the body: not UTF-8");
        } catch (YAMLException e) {
            throw new ProblemException(
                    Problem.MALFORMED,
                    "the body: not YAML: " + String.valueOf(e.getMessage()).lines().toList());
        }
        if (read == null) {
            throw new ProblemException(Problem.MALFORMED, "the body is empty");
        }
        return mapper.readValue(mapper.writeValueAsString(read), DesiredState.class);
    }

    /// What aliases stand for could be as large as they like. One thread uses it.
    private static Yaml yaml() {
        LoaderOptions options = new LoaderOptions();
        options.setAllowDuplicateKeys(false);
        options.setMaxAliasesForCollections(0);
        options.setNestingDepthLimit(MAX_DEPTH);
        options.setCodePointLimit(Integer.MAX_VALUE);
        DumperOptions unused = new DumperOptions();
        return new Yaml(
                new SafeConstructor(options),
                new Representer(unused),
                unused,
                options,
                new PlainWords());
    }

    @Override
    protected void writeInternal(DesiredState state, HttpOutputMessage message) {
        throw new IllegalStateException("documents are only read");
    }
}
