package dev.mdev.vfiouser;

import java.time.Instant;
import java.util.SortedMap;

/// One client, as it is now.
///
/// @param pid the process that connected; 0 if it is in another process namespace
/// @param uid its user
/// @param version as agreed, such as `0.0`; empty before that
/// @param requests messages so far, by command
/// @param errors messages so far that were answered with an error
/// @param dmaMaps ranges of guest memory that are mapped
/// @param dmaBytes their sizes together
public record ConnectionStatus(
        int pid,
        int uid,
        Instant since,
        String version,
        SortedMap<String, Long> requests,
        long errors,
        int dmaMaps,
        long dmaBytes) {}
