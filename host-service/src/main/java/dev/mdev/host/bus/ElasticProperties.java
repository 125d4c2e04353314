package dev.mdev.host.bus;

import dev.mdev.core.elastic.ElasticOptions;
import dev.mdev.host.problem.Setting;

import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.util.unit.DataSize;

import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/// The operator's settings for elastic shares.
///
/// @param store where content goes that is taken away: memory, or files of the state directory
/// @param storeMax the most bytes of that for one parent
/// @param encrypted whether the content is encrypted, with a key of each device's own
/// @param maxRatio the most that all elastic shares on a pool may promise together, in pools
/// @param stay how long a unit stays at least after it came
/// @param parents other settings for some parents, by name; what they leave out is as above
public record ElasticProperties(
        @DefaultValue("memory") Store store,
        @DefaultValue("1GB") DataSize storeMax,
        @DefaultValue("false") boolean encrypted,
        @DefaultValue("4") double maxRatio,
        @DefaultValue("10ms") Duration stay,
        @DefaultValue Map<String, OfParent> parents) {
    private static final String FOLDER = "elastic";

    /// Where content goes.
    public enum Store {
        /// To memory outside the Java heap.
        MEMORY,
        /// To files in the state directory.
        FILE
    }

    /// The settings of one parent.
    public record OfParent(
            @Nullable Store store,
            @Nullable DataSize storeMax,
            @Nullable Boolean encrypted,
            @Nullable Double maxRatio,
            @Nullable Duration stay) {
        private ElasticProperties over(ElasticProperties all) {
            return new ElasticProperties(
                    store == null ? all.store : store,
                    storeMax == null ? all.storeMax : storeMax,
                    encrypted == null ? all.encrypted : encrypted,
                    maxRatio == null ? all.maxRatio : maxRatio,
                    stay == null ? all.stay : stay,
                    Map.of());
        }
    }

    public ElasticProperties {
        Setting.require(!storeMax.isNegative(), "mdev.elastic.store-max", storeMax);
        Setting.require(maxRatio >= 1 && maxRatio <= 64, "mdev.elastic.max-ratio", maxRatio);
        Setting.require(
                !stay.isNegative() && stay.compareTo(Duration.ofSeconds(1)) <= 0,
                "mdev.elastic.stay",
                stay);
    }

    Map<String, ElasticOptions> optionsOfParents(@Nullable Path stateDir) {
        Map<String, ElasticOptions> options = new HashMap<>();
        parents.forEach((name, own) -> options.put(name, own.over(this).options(stateDir)));
        return options;
    }

    ElasticOptions options(@Nullable Path stateDir) {
        Setting.require(
                store == Store.MEMORY || stateDir != null,
                "mdev.elastic.store",
                "file, without mdev.state-dir");
        return new ElasticOptions(
                stay,
                maxRatio,
                store == Store.FILE
                        ? Optional.ofNullable(stateDir).map(dir -> dir.resolve(FOLDER))
                        : Optional.empty(),
                storeMax.toBytes(),
                encrypted);
    }
}
