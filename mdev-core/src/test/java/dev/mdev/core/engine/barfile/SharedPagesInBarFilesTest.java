package dev.mdev.core.engine.barfile;

import static org.assertj.core.api.Assertions.assertThat;

import static java.util.Objects.requireNonNull;

import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.mapping.FaultRecord;
import dev.mdev.core.support.SharingDriver;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// Clients in other processes that map the same pages of a parent through files of two devices.
@Timeout(value = 600, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class SharedPagesInBarFilesTest extends BarWorld {
    @Test
    void theClientsOfAllDevicesSeeTheSharedPagesAtTheSameTime() throws Exception {
        SharingDriver sharing = new SharingDriver();
        bus.addDriver(sharing, Map.of());
        List<BarClient> clients = List.of(clientOfNewDevice(), clientOfNewDevice());

        for (BarClient client : clients) {
            for (int page = 0; page < SharingDriver.SHARED_PAGES; page++) {
                assertThat(client.load(at(page))).isEqualTo(SharingDriver.contentOf(page));
            }
        }
        clients.getFirst().store(at(1), 7);

        assertThat(clients.getLast().load(at(1))).isEqualTo(SharingDriver.contentOf(1));
        assertThat(sharing.sharedLong(1)).isEqualTo(SharingDriver.contentOf(1));
    }

    /// Shared pages are in any number of files at the same time, the others in one only. So a grant
    /// of both has no place, although the device may map each of its pages; the host asks for the
    /// touched page alone.
    @Test
    void aGrantOfOwnAndSharedPagesAtOnceMapsNoSharedPage() throws Exception {
        SharingDriver sharing = new SharingDriver();
        bus.addDriver(sharing, Map.of());
        sharing.grantsPastOwn = true;
        Map<Boolean, List<MdevAssignment>> devices =
                Stream.generate(this::assignNewDevice)
                        .limit(SharingDriver.DEVICES)
                        .collect(Collectors.partitioningBy(it -> isBeforeShared(it.mdev())));
        MdevAssignment last = requireNonNull(devices.get(true)).getFirst();
        BarFile file = open(last, SharingDriver.OWN_BAR);
        BarClient client = client(file);
        client.fill(0, 2, 5);
        awaitResident(file, 3);

        client.store(at(3), 7);

        awaitResident(file, 4);
        assertThat(client.load(at(3))).isEqualTo(7);
        assertThat(last.mdev().recentFaults())
                .anySatisfy(fault -> {
                    assertThat(fault.outcome()).isEqualTo(FaultRecord.Outcome.REFUSED);
                    assertThat(fault.answer()).contains("granted pages are not this device's");
                });
        MdevAssignment another = requireNonNull(devices.get(false)).getFirst();
        BarClient shared = client(open(last, SharingDriver.SHARED_BAR));
        BarClient other = client(open(another, SharingDriver.SHARED_BAR));
        for (BarClient reader : List.of(shared, other)) {
            assertThat(reader.load(at(0))).isEqualTo(SharingDriver.contentOf(0));
        }
    }

    /// Whether a device's own pages end where the shared ones begin.
    private static boolean isBeforeShared(Mdev mdev) {
        long firstShared = mdev.parent().aperturePfns().endPfn() - SharingDriver.SHARED_PAGES;
        return mdev.share().getFirst().extents().getLast().endPfn() == firstShared;
    }

    private MdevAssignment assignNewDevice() {
        return later(
                bus.create(UUID.randomUUID(), SharingDriver.PARENT, SharingDriver.TYPE)
                        .assign("client"));
    }

    private BarFile open(MdevAssignment assignment, int region) {
        BarFile file = later(fs.open(assignment, assignment.mdev().region(region)));
        assertThat(file.residentPages()).isZero();
        return file;
    }

    private BarClient clientOfNewDevice() throws Exception {
        return client(open(assignNewDevice(), SharingDriver.SHARED_BAR));
    }
}
