package dev.mdev.vfiouser;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.sys.EventFd;
import dev.mdev.core.sys.Syscalls;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;

class SmokeTest {
    @TempDir Path folder;

    @Test
    void aClientUsesADevice() {
        try (TestHost host = new TestHost(folder);
                VfioUserClient client = host.client();
                TestHost.GuestRam ram = new TestHost.GuestRam(1 << 20);
                EventFd event = new EventFd(Syscalls.ofThisProcess(), "irq")) {
            assertThat(client.readNumber(7, 0, 4)).isEqualTo(0x11e91234);
            client.enable();
            assertThat(client.write(2, 8, 4, 0x55).errno()).isZero();
            assertThat(client.readNumber(2, 8, 4)).isEqualTo(0x55);
            assertThat(client.write(0, 4096, 8, 0x77).errno()).isZero();
            assertThat(host.device().memoryLong(1)).isEqualTo(0x77);
            assertThat(client.map(0, 1 << 20, 3, 0, ram.fd).errno()).isZero();
            ram.memory.set(ValueLayout.JAVA_LONG, 8, 42);
            MemorySegment got = MemorySegment.ofArray(new long[1]);
            host.device().memory().read(8, got);
            assertThat(got.get(ValueLayout.JAVA_LONG, 0)).isEqualTo(42);
            got.set(ValueLayout.JAVA_LONG, 0, 43);
            host.device().memory().write(16, got);
            assertThat(ram.memory.get(ValueLayout.JAVA_LONG, 16)).isEqualTo(43);
            assertThat(client.setIrqs(0x24, 2, 0, 1, event.fd()).errno()).isZero();
            host.device().context.interrupts().trigger(0);
            assertThat(event.take()).isEqualTo(1);
            assertThat(client.ask(13, new byte[0]).errno()).isZero();
            assertThat(client.unmap(0, 1 << 20, 0).errno()).isZero();
        }
    }
}
