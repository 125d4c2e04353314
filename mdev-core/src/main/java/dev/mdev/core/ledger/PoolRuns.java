package dev.mdev.core.ledger;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.PoolShare;
import dev.mdev.api.page.PfnRange;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/// Pages of one pool: the persistent form of a [PoolShare].
///
/// @param pool the pool's name
/// @param runs in the order of the share
public record PoolRuns(String pool, List<ApertureRun> runs) {
    private static final Pattern POOL = Pattern.compile("[A-Za-z0-9._-]{1,64}");
    private static final Pattern RUN = Pattern.compile("([0-9]{1,18})\\+([0-9]{1,18})");

    public PoolRuns {
        runs = List.copyOf(runs);
        if (!POOL.matcher(pool).matches()) {
            throw new MdevException(Errno.EINVAL, "not the name of a pool: " + pool);
        }
    }

    /// The persistent form of a share.
    public static List<PoolRuns> of(List<PoolShare> shares, PfnRange aperturePfns) {
        return shares.stream()
                .map(share ->
                        new PoolRuns(
                                share.pool(),
                                share.extents().stream()
                                        .map(extent -> ApertureRun.of(extent, aperturePfns))
                                        .toList()))
                .toList();
    }

    /// Pools as `vram:0+64,128+8;doorbell:200+1`: names, and runs by first page and length.
    static String encode(List<PoolRuns> pools) {
        return pools.stream().map(PoolRuns::encodeOne).collect(Collectors.joining(";"));
    }

    private static String encodeOne(PoolRuns pool) {
        return pool.pool + ":" + encodeRuns(pool.runs);
    }

    static String encodeRuns(List<ApertureRun> runs) {
        return runs.stream()
                .map(run -> run.firstPage() + "+" + run.npages())
                .collect(Collectors.joining(","));
    }

    /// @throws MdevException EINVAL for anything that [#encode] does not write
    static List<PoolRuns> decode(String text) {
        List<PoolRuns> pools = new ArrayList<>();
        if (text.isEmpty()) {
            return pools;
        }
        for (String part : text.split(";", -1)) {
            int colon = part.indexOf(':');
            if (colon < 0) {
                throw new MdevException(Errno.EINVAL, "not pages of pools: " + text);
            }
            pools.add(
                    new PoolRuns(part.substring(0, colon), decodeRuns(part.substring(colon + 1))));
        }
        return pools;
    }

    /// @throws MdevException EINVAL for anything that [#encodeRuns] does not write
    static List<ApertureRun> decodeRuns(String text) {
        List<ApertureRun> runs = new ArrayList<>();
        if (text.isEmpty()) {
            return runs;
        }
        for (String part : text.split(",", -1)) {
            Matcher numbers = RUN.matcher(part);
            if (!numbers.matches() || Long.parseLong(numbers.group(2)) == 0) {
                throw new MdevException(Errno.EINVAL, "not runs of pages: " + text);
            }
            runs.add(
                    new ApertureRun(
                            Long.parseLong(numbers.group(1)), Long.parseLong(numbers.group(2))));
        }
        return runs;
    }
}
