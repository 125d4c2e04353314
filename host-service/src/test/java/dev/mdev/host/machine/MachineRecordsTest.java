package dev.mdev.host.machine;

import static org.assertj.core.api.Assertions.assertThat;

import static java.nio.charset.StandardCharsets.US_ASCII;

import dev.mdev.core.store.MemoryFiles;
import dev.mdev.host.machine.MachineRecords.Recorded;

import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.UUID;

/// The file of the machines of other programs.
class MachineRecordsTest {
    private static final UUID ONE = new UUID(1, 1);
    private static final UUID TWO = new UUID(2, 2);
    private static final SocketAccess ACCESS = new SocketAccess(1000, null, "0660");

    private final MemoryFiles files = new MemoryFiles();

    private MachineRecords open() {
        return new MachineRecords(files);
    }

    @Test
    void whatIsWrittenIsThereAfterARestart() {
        MachineRecords records = open();
        records.made("vm1", ACCESS);
        records.made("vm2", SocketAccess.DEFAULT);
        records.attached("vm1", TWO);
        records.attached("vm1", ONE);
        records.attached("vm1", TWO);

        assertThat(open().all())
                .containsExactly(
                        new Recorded("vm1", ACCESS, List.of(TWO, ONE)),
                        new Recorded("vm2", SocketAccess.DEFAULT, List.of()));
    }

    @Test
    void whatIsDetachedOrDeletedIsNot() {
        MachineRecords records = open();
        records.made("vm1", ACCESS);
        records.made("vm2", ACCESS);
        records.attached("vm1", ONE);
        records.attached("vm1", TWO);

        records.detached("vm1", ONE::equals);
        records.deleted("vm2");

        assertThat(open().all()).containsExactly(new Recorded("vm1", ACCESS, List.of(TWO)));
    }

    @Test
    void aLineThatMeansNothingIsLeftOutAndKeptAside() {
        MachineRecords records = open();
        records.made("vm1", ACCESS);
        String whole = new String(files.read("machines", 1 << 16).orElseThrow(), US_ASCII);
        // Intact lines of another version: their checksums are right.
        for (String meaning :
                List.of("mode=0999", "uid=99999999999", "mdev0=none", "other=x name=vm1")) {
            files.write("machines", whole.getBytes(US_ASCII));
            MachineRecords other = open();
            other.made("vm2", ACCESS);
            String more = new String(files.read("machines", 1 << 16).orElseThrow(), US_ASCII);
            String line = "external name=vm3 " + meaning;
            files.write("machines", withLine(more, line).getBytes(US_ASCII));

            MachineRecords next = open();

            assertThat(next.all()).extracting(Recorded::name).as(line).contains("vm1", "vm2");
            next.attached("vm1", ONE);
            assertThat(files.read("machines.damaged", 1 << 16)).as(line).isPresent();
            files.delete("machines.damaged");
        }
    }

    private static String withLine(String journal, String text) {
        List<String> lines = journal.lines().toList();
        long number = Long.parseLong(lines.getLast().split(" ", 3)[1]) + 1;
        java.util.zip.CRC32C checksum = new java.util.zip.CRC32C();
        String rest = number + " " + text;
        checksum.update(rest.getBytes(US_ASCII));
        return journal + "%08x %s\n".formatted(checksum.getValue(), rest);
    }
}
