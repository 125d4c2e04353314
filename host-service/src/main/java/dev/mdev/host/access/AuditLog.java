package dev.mdev.host.access;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.core.store.StateFiles;

import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.stereotype.Component;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongFunction;
import java.util.function.Predicate;

/// Who did what to what, with which result: a chain of hashed records in files, of which the oldest
/// go when there are too many. A change whose record cannot be written does not happen.
///
/// Any thread may call all methods. Lock: `lock`, held during I/O.
@Component
final class AuditLog {
    /// The size after which a file is full.
    static final int FILE_BYTES = 1 << 20;

    /// The longest line fits into a file beside all others.
    private static final int MAX_FILE_BYTES = 2 * FILE_BYTES;

    private static final Logger log = LoggerFactory.getLogger(AuditLog.class);

    private final StateFiles files;
    private final int fileBytes;
    private final int maxFiles;
    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private int file;

    @GuardedBy("lock")
    private int sizeBytes;

    @GuardedBy("lock")
    private long number;

    @GuardedBy("lock")
    private String head;

    @Autowired
    AuditLog(AccessFiles files, AccessProperties properties) {
        this(files, FILE_BYTES, (int) Math.max(2, properties.auditSize().toBytes() / FILE_BYTES));
    }

    AuditLog(AccessFiles accessFiles, int fileBytes, int maxFiles) {
        this.files = accessFiles.files();
        this.fileBytes = fileBytes;
        this.maxFiles = maxFiles;
        this.head = AuditChain.BEGINNING;
        List<String> names = AuditChain.files(files);
        if (names.isEmpty()) {
            startFileLocked(1);
            return;
        }
        String name = names.getLast();
        AuditChain.Part part = AuditChain.read(files, name, null, MAX_FILE_BYTES);
        head = part.last();
        number = part.entries().isEmpty() ? numberBefore(names) : part.entries().getLast().number();
        int last = Integer.parseInt(name.substring(name.indexOf('-') + 1));
        part.trouble()
                .ifPresent(what ->
                        log.error(
                                "the audit log: {}; the file is kept, and a new one begins", what));
        if (part.trouble().isPresent()) {
            startFileLocked(last + 1);
        } else {
            file = last;
            sizeBytes = part.intactBytes();
        }
        log.info("the audit log continues after record {} with hash {}", number, head);
    }

    private long numberBefore(List<String> names) {
        for (String name : names.reversed()) {
            List<AuditChain.Entry> entries =
                    AuditChain.read(files, name, null, MAX_FILE_BYTES).entries();
            if (!entries.isEmpty()) {
                return entries.getLast().number();
            }
        }
        return 0;
    }

    @GuardedBy("lock")
    private void startFileLocked(int next) {
        byte[] header = AuditChain.header(head).getBytes(StandardCharsets.ISO_8859_1);
        files.write(AuditChain.nameOf(next), header);
        file = next;
        sizeBytes = header.length;
        List<String> names = AuditChain.files(files);
        for (String old : names.subList(0, Math.max(0, names.size() - maxFiles))) {
            files.delete(old);
        }
    }

    /// Writes a record.
    ///
    /// @throws dev.mdev.api.MdevException the files' error; nothing is recorded then
    void add(LongFunction<AuditRecord> record) {
        lock.lock();
        try {
            if (sizeBytes >= fileBytes) {
                startFileLocked(file + 1);
            }
            String text = record.apply(number + 1).encode();
            String hash = AuditChain.hashOf(head, number + 1, text);
            byte[] line =
                    AuditChain.lineOf(hash, number + 1, text).getBytes(StandardCharsets.ISO_8859_1);
            append(line);
            number++;
            head = hash;
            sizeBytes += line.length;
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private void append(byte[] line) {
        String name = AuditChain.nameOf(file);
        try {
            files.append(name, line, false);
        } catch (RuntimeException e) {
            // A part of the line would break the chain.
            try {
                files.truncate(name, sizeBytes);
            } catch (RuntimeException second) {
                e.addSuppressed(second);
            }
            throw e;
        }
    }

    /// Records after a number, oldest first.
    List<AuditRecord> after(long after, int limit, Predicate<AuditRecord> wanted) {
        lock.lock();
        try {
            List<AuditRecord> found = new ArrayList<>();
            for (String name : AuditChain.files(files)) {
                for (AuditChain.Entry entry :
                        AuditChain.read(files, name, null, MAX_FILE_BYTES).entries()) {
                    if (entry.number() > after && found.size() < limit) {
                        AuditRecord record = AuditRecord.decode(entry.number(), entry.text());
                        if (wanted.test(record)) {
                            found.add(record);
                        }
                    }
                }
            }
            return found;
        } finally {
            lock.unlock();
        }
    }

    /// The result of [#verify].
    ///
    /// @param first the number of the oldest record; 0 if there is none
    /// @param last the number of the newest record
    /// @param head the hash of the newest record: a copy elsewhere shows later whether records up
    ///   to it are still the same
    /// @param trouble the first place that is not as it was written, if any
    /// @param known the hash of the record that the caller asked for; absent if it is not there
    record Verdict(
            boolean intact,
            long records,
            long first,
            long last,
            String head,
            @Nullable String trouble,
            @Nullable String known) {}

    /// Checks the whole chain in the files.
    ///
    /// @param asked the number of a record whose hash is wanted
    Verdict verify(long asked) {
        lock.lock();
        try {
            long records = 0;
            long first = 0;
            String known = null;
            String before = null;
            Optional<String> trouble = Optional.empty();
            for (String name : AuditChain.files(files)) {
                AuditChain.Part part = AuditChain.read(files, name, before, MAX_FILE_BYTES);
                trouble = trouble.isPresent() ? trouble : part.trouble();
                for (AuditChain.Entry entry : part.entries()) {
                    first = first == 0 ? entry.number() : first;
                    known = entry.number() == asked ? entry.hash() : known;
                }
                records += part.entries().size();
                before = part.last();
            }
            if (trouble.isEmpty() && !head.equals(before)) {
                trouble = Optional.of("the newest records are missing");
            }
            return new Verdict(
                    trouble.isEmpty(), records, first, number, head, trouble.orElse(null), known);
        } finally {
            lock.unlock();
        }
    }
}
