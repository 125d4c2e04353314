package dev.mdev.core.engine.barfile;

import static dev.mdev.core.engine.ScriptedDriver.DEVICE_PAGES;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.MapDecision;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Stream;

/// A client that does with its descriptor what it should not.
@Timeout(value = 600, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class BarHostileTest extends BarWorld {
    private static final String[] ATTACKS = {
        "truncate", "grow", "fallocate", "punch", "flock", "fcntl-lock", "readahead", "willneed",
        "ioctl", "getflags", "setxattr", "getxattr", "listxattr", "chmod", "utimes", "stat",
        "fsync", "msync", "reopen", "reopen-truncate", "write", "write-page", "append", "lseek",
        "copy", "direct", "exec"
    };

    @Test
    void nothingThatAClientDoesWithItsDescriptorHarmsTheDevice() throws Exception {
        MdevAssignment victim = assign();
        BarClient bystander = client(open(victim));
        bystander.fill(0, DEVICE_PAGES, 0x77);
        MdevAssignment assignment = assign();
        BarFile file = open(assignment);
        BarClient client = client(file);
        client.fill(0, 16, 0x100);
        Map<String, String> results = new LinkedHashMap<>();

        for (String attack : ATTACKS) {
            results.put(attack, client.attack(attack));
            assertThat(client.mismatches(0, 16, 0x100)).as(attack).isZero();
        }

        assertThat(results)
                .containsEntry("truncate", "EPERM")
                .containsEntry("grow", "EPERM")
                .containsEntry("fallocate", "EOPNOTSUPP")
                .containsEntry("punch", "EOPNOTSUPP")
                .containsEntry("chmod", "EPERM")
                .containsEntry("utimes", "EPERM")
                .containsEntry("setxattr", "EOPNOTSUPP")
                .containsEntry("reopen", "EPERM")
                .containsEntry("reopen-truncate", "EPERM")
                .containsEntry("write", "EPERM")
                .containsEntry("write-page", "EPERM")
                .containsEntry("exec", "EPERM")
                .doesNotContainValue("unknown");
        assignment.mdev().revoke(0, 0, DEVICE_PAGES);
        for (int page = 0; page < 16; page++) {
            assertThat(deviceLong(1, page)).isEqualTo(0x100 + page);
        }
        for (int page = 32; page < 40; page++) {
            assertThat(deviceLong(1, page)).as("page %d", page).isZero();
        }
        assertThat(client.mismatches(0, 16, 0x100)).isZero();
        assertThat(bystander.mismatches(0, DEVICE_PAGES, 0x77)).isZero();
    }

    @Test
    void aFileHasNoPath() throws Exception {
        open(assign());
        Path point = directory.resolve("mount/bars");

        assertThat(Files.getPosixFilePermissions(point)).hasSize(3);
        assertThat(point.resolve("bar")).doesNotExist();
        assertThat(exists("ls " + point)).as("the directory lists nothing").isFalse();
        assertThat(exists("mkdir " + point.resolve("x"))).isFalse();
        assertThat(exists("touch " + point.resolve("x"))).isFalse();
        assertThat(exists("ln -s x " + point.resolve("x"))).isFalse();
        assertThat(exists("df " + point)).isTrue();
        int fd = open(assign()).fd();
        assertThat(exists("cat /proc/%d/fd/%d".formatted(ProcessHandle.current().pid(), fd)))
                .isFalse();
    }

    private static boolean exists(String command) throws Exception {
        return new ProcessBuilder("sh", "-c", command + " >/dev/null 2>&1").start().waitFor() == 0;
    }

    /// `write(2)` holds the kernel's lock of the file while it waits for the page that the driver
    /// is asked for. The driver's own accesses to other pages must not need that lock.
    @Test
    void aWriteThatWaitsForTheDriverBlocksNoAccessOfTheDriver() throws Exception {
        CountDownLatch asked = new CountDownLatch(1);
        CountDownLatch writing = new CountDownLatch(1);
        driver.answer =
                (d, request) -> {
                    if (request.page() == 33) {
                        setDeviceLong(0, 1, 5);
                        asked.countDown();
                        Deadlines.await(writing);
                        setDeviceLong(0, 1, deviceLong(0, 1) + 1);
                        d.context.revoke(0, 2, 1);
                    }
                    return MapDecision.grantPage(request, d.pfnOf(request.page()), Prot.READ_WRITE);
                };
        BarFile file = open(assign());
        BarClient client = client(file);
        BarClient second = client(file);
        client.fill(at(0), 4, 0x40);

        client.send("load " + at(33));
        // A write that came first would wait for nothing.
        Deadlines.await(asked);
        second.send("attack write-page");
        while (second.state() != 'D') {
            Thread.onSpinWait();
        }
        writing.countDown();

        assertThat(client.answer()).as("before or after the write").isIn("0", "6666666666666666");
        assertThat(second.answer()).isIn("done", "EPERM");
        assertThat(client.load(at(1))).isEqualTo(6);
    }

    /// A read of everything asks for nothing.
    @Test
    void readingAheadGrantsNothing() throws Exception {
        BarFile file = open(assign());
        BarClient client = client(file);

        client.attack("readahead");
        client.attack("willneed");

        assertThat(device(0).requests).hasSizeLessThanOrEqualTo(1);
        client.fill(0, DEVICE_PAGES, 3);
        assertThat(client.mismatches(0, DEVICE_PAGES, 3)).isZero();
    }

    /// The grant covers pages that were refused before, and what a client wrote there.
    @Test
    void aGrantOverRefusedPagesShowsTheDevicesContent() throws Exception {
        driver.answer =
                (d, request) -> {
                    if (request.page() < 16) {
                        return new MapDecision.Deny("no");
                    }
                    PfnRange run = d.extentFrom(0);
                    return new MapDecision.Grant(
                            0, new PfnRange(run.firstPfn(), 32), Prot.READ_WRITE);
                };
        BarFile file = open(assign());
        for (int page = 0; page < 16; page++) {
            setDeviceLong(0, page, 0x900 + page);
        }
        BarClient client = client(file);
        for (int page = 0; page < 16; page++) {
            assertThat(client.load(at(page))).isEqualTo(-1);
            client.store(at(page), 1);
        }

        client.load(at(20));

        assertThat(client.mismatches(0, 16, 0x900)).isZero();
        assertThat(Stream.of(0, 5, 15).map(page -> deviceLong(0, page)))
                .containsExactly(0x900L, 0x905L, 0x90fL);
    }
}
