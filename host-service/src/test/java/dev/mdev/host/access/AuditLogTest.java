package dev.mdev.host.access;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.store.MemoryFiles;

import org.junit.jupiter.api.Test;

import java.time.Instant;
import java.util.List;

class AuditLogTest {
    private final MemoryFiles files = new MemoryFiles();
    private final AccessFiles accessFiles = new AccessFiles(files);

    private AuditLog open() {
        return new AuditLog(accessFiles, 4096, 3);
    }

    private static void fill(AuditLog log, int records) {
        for (int i = 0; i < records; i++) {
            String path = "/api/v1/machines/vm%d \n%%".formatted(i);
            log.add(number ->
                    new AuditRecord(
                            number,
                            Instant.EPOCH,
                            AuditRecord.Phase.DONE,
                            "me",
                            Caller.Means.TOKEN,
                            null,
                            null,
                            "DELETE",
                            path,
                            "id",
                            204,
                            null,
                            null));
        }
    }

    @Test
    void recordsAreThereAfterARestartAndTheChainGoesOn() {
        fill(open(), 3);
        AuditLog next = open();
        fill(next, 2);

        assertThat(next.after(0, 100, _ -> true))
                .extracting(AuditRecord::number)
                .containsExactly(1L, 2L, 3L, 4L, 5L);
        assertThat(next.after(4, 100, _ -> true).getFirst().path())
                .isEqualTo("/api/v1/machines/vm1 \n%");
        assertThat(next.verify(0).intact()).isTrue();
        assertThat(next.verify(0).records()).isEqualTo(5);
    }

    @Test
    void theOldestRecordsGoAndTheRestStillVerifies() {
        AuditLog log = open();
        fill(log, 200);

        AuditLog.Verdict verdict = log.verify(0);
        assertThat(verdict.intact()).isTrue();
        assertThat(verdict.last()).isEqualTo(200);
        assertThat(verdict.first()).isGreaterThan(100);
        assertThat(AuditChain.files(files)).hasSize(3);
        fill(open(), 1);
        assertThat(open().verify(0).last()).isEqualTo(201);
    }

    @Test
    void everyChangedByteIsFound() {
        AuditLog log = open();
        fill(log, 3);
        String name = AuditChain.nameOf(1);
        byte[] original = files.read(name, 1 << 20).orElseThrow();
        for (int i = 0; i < original.length; i++) {
            byte[] changed = original.clone();
            changed[i] ^= 1;
            files.write(name, changed);
            assertThat(log.verify(0).intact()).as("byte %d", i).isFalse();
        }
        files.write(name, original);
        assertThat(log.verify(0).intact()).isTrue();
    }

    @Test
    void missingRecordsAreFound() {
        AuditLog log = open();
        fill(log, 120);
        List<String> names = AuditChain.files(files);
        byte[] last = files.read(names.getLast(), 1 << 20).orElseThrow();
        files.truncate(
                names.getLast(),
                new String(last, java.nio.charset.StandardCharsets.ISO_8859_1)
                                .lastIndexOf('\n', last.length - 2)
                        + 1);
        assertThat(log.verify(0).trouble()).contains("newest records are missing");
        files.write(names.getLast(), last);
        files.delete(names.get(1));
        assertThat(log.verify(0).trouble()).contains("does not continue");
    }

    @Test
    void aNotedHashShowsThatTheWholeLogWasWrittenAnew() {
        AuditLog log = open();
        fill(log, 2);
        String noted = log.verify(2).known();
        assertThat(noted).isEqualTo(log.verify(0).head());
        AuditChain.files(files).forEach(files::delete);
        AuditLog forged = open();
        fill(forged, 1);
        assertThat(forged.verify(2).known()).isNotEqualTo(noted);
    }

    @Test
    void aTornLastLineIsKeptAsEvidenceAndANewFileBegins() {
        fill(open(), 2);
        byte[] bytes = files.read(AuditChain.nameOf(1), 1 << 20).orElseThrow();
        files.truncate(AuditChain.nameOf(1), bytes.length - 5L);

        AuditLog next = open();
        fill(next, 1);

        assertThat(AuditChain.files(files)).hasSize(2);
        assertThat(next.after(0, 10, _ -> true))
                .extracting(AuditRecord::number)
                .containsExactly(1L, 2L);
        assertThat(next.verify(0).trouble()).contains("after record 1");
    }
}
