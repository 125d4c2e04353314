package dev.mdev.core.vm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Page;
import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.engine.kvm.mm.FileMapping;
import dev.mdev.core.engine.kvm.mm.MemfdMemory;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.MemoryBackend;
import dev.mdev.core.sys.FileFacts;
import dev.mdev.core.sys.Syscalls;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/// A machine's RAM takes memory where its guest touches it, and nowhere else.
@EnabledOnOs(value = OS.LINUX, disabledReason = "files without names are Linux's")
public class ReservedRamTest {
    private static final long RAM_BYTES = 64L << 30;

    /// The kernel may give more than the page that is touched.
    private static final long MOST_AT_A_TIME = 2L << 20;

    /// To the last page of RAM.
    private static final GuestProgram STORE =
            new GuestProgram(
                    List.of(
                            new GuestProgram.Step.Write(
                                    new GuestAccess.Span(RAM_BYTES - Page.SIZE, 8, 1, 0), 7, 0)),
                    false);

    private final List<FileMapping> files = new CopyOnWriteArrayList<>();

    protected Engine engine() {
        return new SoftwareEngine(Deadlines.HANG);
    }

    private MemoryBackend.Backing allocate(String name, long sizeBytes) {
        FileMapping file = (FileMapping) new MemfdMemory().allocate(name, sizeBytes);
        files.add(file);
        return file;
    }

    private long heldBytes() {
        return files.stream()
                .mapToLong(file -> FileFacts.of(Syscalls.ofThisProcess(), file.file()).heldBytes())
                .sum();
    }

    @Test
    void aMachineWithMoreRamThanTheHostHoldsOnlyTouchedPages() {
        try (HostMemory memory = new HostMemory(this::allocate);
                VirtualMachine machine =
                        new VirtualMachine(
                                new MachineSpec("large", RAM_BYTES, 2), engine(), memory)) {
            assertThat(files).extracting(file -> file.segment().byteSize()).contains(RAM_BYTES);
            assertThat(heldBytes()).as("after the machine was made").isZero();

            ProgramResult result = machine.vcpu(0).execute(STORE, Deadlines.HANG).join();

            assertThat(result.end()).isEqualTo(ProgramResult.End.COMPLETED);
            assertThat(heldBytes())
                    .as("after a store to one page")
                    .isBetween((long) Page.SIZE, MOST_AT_A_TIME);
        }
    }
}
