package dev.mdev.core.ledger;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.store.JournalLine;

import java.util.List;
import java.util.UUID;

/// The line of a [LedgerRecord].
final class LedgerCodec {
    private static final String OP = "op";
    private static final String PARENT = "parent";
    private static final String UUID_NAME = "uuid";

    private LedgerCodec() {}

    static String encode(LedgerRecord fact) {
        return switch (fact) {
            case LedgerRecord.Met met ->
                    JournalLine.of("met")
                            .with(PARENT, met.parent())
                            .with("pools", PoolRuns.encode(met.pools()))
                            .encode();
            case LedgerRecord.Marked marked ->
                    JournalLine.of("marked")
                            .with(PARENT, marked.parent())
                            .with("mark", JournalLine.wordOf(marked.mark()))
                            .with("runs", PoolRuns.encodeRuns(marked.runs()))
                            .encode();
            case LedgerRecord.Began began ->
                    subject(
                                    JournalLine.of("began")
                                            .with(OP, began.op())
                                            .with("verb", JournalLine.wordOf(began.verb())),
                                    began.subject())
                            .encode();
            case LedgerRecord.Stepped stepped ->
                    JournalLine.of("stepped")
                            .with(OP, stepped.op())
                            .with("step", stepped.step())
                            .encode();
            case LedgerRecord.Ended ended ->
                    JournalLine.of("ended")
                            .with(OP, ended.op())
                            .with("done", ended.done() ? 1 : 0)
                            .encode();
            case LedgerRecord.Active active ->
                    subject(JournalLine.of("active"), active.subject()).encode();
            case LedgerRecord.Gone gone ->
                    JournalLine.of("gone")
                            .with(PARENT, gone.parent())
                            .with(UUID_NAME, gone.uuid())
                            .encode();
            case LedgerRecord.Doomed doomed ->
                    JournalLine.of("doomed")
                            .with(PARENT, doomed.parent())
                            .with(UUID_NAME, doomed.uuid())
                            .encode();
        };
    }

    private static JournalLine subject(JournalLine fields, Subject subject) {
        return fields.with(UUID_NAME, subject.uuid())
                .with(PARENT, subject.parent())
                .with("type", subject.type())
                .with("owner", JournalLine.wordOf(subject.owner()))
                .with("share", PoolRuns.encode(subject.share()));
    }

    /// @throws MdevException EINVAL for anything that [#encode] does not write
    static LedgerRecord decode(String line) {
        JournalLine fields = JournalLine.decode(line);
        LedgerRecord fact =
                switch (fields.kind()) {
                    case "met" ->
                            new LedgerRecord.Met(
                                    fields.get(PARENT), PoolRuns.decode(fields.get("pools")));
                    case "marked" ->
                            new LedgerRecord.Marked(
                                    fields.get(PARENT),
                                    fields.constant("mark", LedgerRecord.Mark.class),
                                    PoolRuns.decodeRuns(fields.get("runs")));
                    case "began" ->
                            new LedgerRecord.Began(
                                    fields.number(OP),
                                    fields.constant("verb", Verb.class),
                                    subject(fields));
                    case "stepped" ->
                            new LedgerRecord.Stepped(fields.number(OP), fields.get("step"));
                    case "ended" ->
                            new LedgerRecord.Ended(fields.number(OP), fields.number("done") == 1);
                    case "active" -> new LedgerRecord.Active(subject(fields));
                    case "gone" -> new LedgerRecord.Gone(fields.get(PARENT), uuid(fields));
                    case "doomed" -> new LedgerRecord.Doomed(fields.get(PARENT), uuid(fields));
                    default ->
                            throw new MdevException(Errno.EINVAL, "not a record: " + fields.kind());
                };
        if (!encode(fact).equals(line)) {
            throw new MdevException(Errno.EINVAL, "not the canonical form of this record: " + line);
        }
        return fact;
    }

    private static UUID uuid(JournalLine fields) {
        return Uuids.parse(fields.get(UUID_NAME));
    }

    private static Subject subject(JournalLine fields) {
        List<PoolRuns> share = PoolRuns.decode(fields.get("share"));
        return new Subject(
                uuid(fields),
                fields.get(PARENT),
                fields.get("type"),
                fields.constant("owner", Owner.class),
                share);
    }
}
