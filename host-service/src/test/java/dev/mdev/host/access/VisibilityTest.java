package dev.mdev.host.access;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.KernelNode;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.bus.MdevStatus;
import dev.mdev.core.device.Activity;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.ledger.Owner;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.springframework.beans.factory.support.StaticListableBeanFactory;

import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/// What a caller sees of devices that others hold.
class VisibilityTest {
    private static final String PROGRAM = "qemu-system-x86 (pid 4711)";
    private final HostMemory memory = new HostMemory(new OffHeapBackend());
    private final MdevBus bus = new MdevBus(memory, Duration.ofSeconds(5), MdevObserver.NONE);
    private final Visibility visibility =
            new Visibility(
                    bus,
                    ClaimsTest.claimsOfNothing(),
                    new StaticListableBeanFactory().getBeanProvider(Undertakings.class));

    @AfterEach
    void close() {
        bus.close();
        memory.close();
    }

    private static Caller caller(@Nullable String tenant, Set<String> parents, Set<String> vms) {
        return new Caller("x", Caller.Means.TOKEN, Role.OPERATOR, new Reach(tenant, parents, vms));
    }

    private static MdevStatus held(String holder, boolean isOfKernel) {
        KernelNode node =
                new KernelNode(
                        "/sys/x",
                        "vfio-pci",
                        Optional.of(7),
                        Optional.of("/dev/vfio/7"),
                        Optional.of(holder));
        return new MdevStatus(
                new UUID(1, 1),
                "mtty",
                "mtty-1",
                Owner.OURS,
                Optional.empty(),
                Activity.ACTIVE,
                Optional.of(holder),
                0,
                Optional.empty(),
                isOfKernel ? Optional.of(node) : Optional.empty());
    }

    @Test
    void aDeviceOfTheKernelStaysVisibleToCallersOfMachinesWhileAProgramHasItOpen() {
        Caller ofMachine = caller(null, Set.of(), Set.of("vm1"));
        assertThat(visibility.seesMdev(ofMachine, held(PROGRAM, true))).isTrue();
        assertThat(visibility.seesMdev(ofMachine, held("vm1", false))).isTrue();
        assertThat(visibility.seesMdev(ofMachine, held("vm2", false))).isFalse();
    }

    @Test
    void parentsAndTenantsBoundItAllTheSame() {
        assertThat(
                        visibility.seesMdev(
                                caller(null, Set.of("mdpy"), Set.of("vm1")), held(PROGRAM, true)))
                .isFalse();
        assertThat(visibility.seesMdev(caller("red", Set.of(), Set.of()), held(PROGRAM, true)))
                .isFalse();
    }
}
