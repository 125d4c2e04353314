package dev.mdev.testkit;

import dev.mdev.api.MdevException;
import dev.mdev.api.RegionInfo;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;

/// Reset, failures of the host, and state that moves.
abstract class StateRules extends Rules {
    /// As many as the host takes.
    private static final int MOST_COUNTERS = 256;

    @DriverRule
    void resetBringsBackTheFirstState() {
        forEachType(mdev -> {
            SplittableRandom random = random();
            AccessTrace fresh = registers(mdev);
            List<MappablePage> pages = mappablePages(mdev, random.split());
            for (int round = 0; round < ROUNDS; round++) {
                scribble(mdev, random);
                pages.forEach(page -> tryStore(mdev, page, -1));
                mdev.reset();
                requireSame(fresh, mdev, "registers after a reset");
                pages.forEach(page -> requireZero(mdev, page));
            }
        });
    }

    /// A holder finds the device as after its creation, and all of it works.
    @DriverRule
    void theNextHolderGetsADeviceLikeTheFirst() {
        atDevices(mdev -> {
            SplittableRandom random = random();
            AccessTrace fresh = registers(mdev);
            List<MappablePage> pages = mappablePages(mdev, random.split());
            for (int round = 0; round < ROUNDS; round++) {
                scribble(mdev, random);
                List<MappablePage> marked = mark(mdev, pages, round);
                mdev.reassign();
                requireSame(fresh, mdev, "registers of the next holder");
                pages.forEach(page -> requireZero(mdev, page));
                List<MappablePage> again = mark(mdev, marked, round);
                require(
                        again.equals(marked),
                        "the next holder can store to %d pages, and the first to %d",
                        again.size(),
                        marked.size());
            }
        });
    }

    private static void tryStore(InMemoryMdev mdev, MappablePage page, long value) {
        mdev.guest().tryStore(page.region().index(), page.offsetBytes(), 8, value);
    }

    private static void requireZero(InMemoryMdev mdev, MappablePage page) {
        switch (mdev.guest().tryLoad(page.region().index(), page.offsetBytes(), 8)) {
            case AccessResult.Done(long value) ->
                    require(
                            value == 0 || mdev.isShared(page.region().index(), page.page()),
                            "%s holds 0x%x after a reset",
                            page,
                            value);
            case AccessResult.Failed _ -> {
                // Nothing may remain visible.
            }
        }
    }

    private void requireSame(AccessTrace expected, InMemoryMdev mdev, String what) {
        if (subject().isDeterministic()) {
            List<String> difference = expected.replay(mdev.guest());
            require(difference.isEmpty(), "%s differ: %s", what, difference);
        }
    }

    /// The host fails at random for a while. Failures in that time are allowed; afterwards the
    /// device is reset and must work perfectly.
    @DriverRule
    void failuresOfTheHostAreSurvived() {
        atDevice(mdev -> {
            SplittableRandom random = random();
            AccessTrace fresh = registers(mdev);
            FaultInjector faults = mdev.host().faults();
            for (int round = 0; round < ROUNDS; round++) {
                for (FaultInjector.Site site : FaultInjector.Site.values()) {
                    faults.arm(site, 100);
                }
                scribble(mdev, random);
                resetMayFail(mdev);
                faults.disarm();
                mdev.reset();
                requireSame(fresh, mdev, "registers after failures and a reset");
            }
        });
    }

    private static void resetMayFail(InMemoryMdev mdev) {
        try {
            mdev.reset();
        } catch (MdevException e) {
            // As armed.
        }
    }

    @DriverRule
    void aCreationThatFailsLeavesNothing() {
        atHost(host -> {
            InMemoryParent parent = host.parents().getFirst();
            String type = parent.layout().types().getFirst().id();
            int available = parent.available(type);
            host.faults().arm(FaultInjector.Site.APERTURE_READ, 1000);
            host.faults().arm(FaultInjector.Site.APERTURE_WRITE, 1000);
            for (int i = 0; i < available + 1; i++) {
                createMayFail(parent, type);
            }
            host.faults().disarm();
            require(parent.available(type) == available, "a failed creation kept pages");
            for (int i = 0; i < available; i++) {
                LifeCycleRules.createOrFail(parent, type, i);
            }
        });
    }

    private static void createMayFail(InMemoryParent parent, String type) {
        try {
            parent.create(type).close();
        } catch (MdevException e) {
            // As armed.
        }
    }

    /// A host without memory for the aperture reports this with an [MdevException].
    @DriverRule
    void aHostWithoutMemoryIsToldSo() {
        try {
            new InMemoryHost(
                            newDriver(),
                            options(),
                            faults -> faults.arm(FaultInjector.Site.ALLOCATE, 1000))
                    .close();
        } catch (MdevException e) {
            // Correct for a driver that needs an aperture.
        }
    }

    @DriverRule
    void guestMemoryIsLetGo() {
        atDevice(mdev -> {
            new HostileGuest(mdev, random()).run(1000);
            int left = mdev.unmapDma(0, mdev.guestMemory().sizeBytes());
            require(left == 0, "%d pins were kept after dmaUnmapped", left);
        });
    }

    @DriverRule
    void countersAreNamedAndNotNegative() {
        atDevice(mdev -> {
            new HostileGuest(mdev, random()).run(300);
            Map<String, Long> counters = mdev.counters();
            require(counters.size() <= MOST_COUNTERS, "%d counters", counters.size());
            counters.forEach((name, value) ->
                    require(
                            name.matches("[a-z][a-z0-9_]{0,63}") && value >= 0,
                            "counter %s=%d",
                            Callbacks.cut(name),
                            value));
        });
    }

    @DriverRule
    void stateMovesToAnotherDevice() {
        atHosts(host -> {
            SplittableRandom random = random();
            InMemoryMdev from = anyDevice(host);
            if (isFixed(from) || !LifeCycleRules.roomForTwo(host)) {
                return;
            }
            InMemoryMdev to = anyDevice(host);
            for (int round = 0; round < ROUNDS; round++) {
                scribble(from, random);
                InMemoryMdev.Saved saved = from.save().orElseThrow();
                require(to.restore(saved), "the device refused its own state");
                require(sameState(saved, to.save().orElseThrow()), "states differ");
                from.resume();
                to.resume();
                requireSame(registers(from), to, "registers of the restored device");
                requireSamePages(from, to);
            }
        });
    }

    /// Whether the device cannot be moved.
    private static boolean isFixed(InMemoryMdev mdev) {
        boolean fixed = mdev.save().isEmpty();
        mdev.resume();
        return fixed;
    }

    private static boolean sameState(InMemoryMdev.Saved a, InMemoryMdev.Saved b) {
        return a.version() == b.version()
                && Arrays.equals(a.state(), b.state())
                && Arrays.equals(a.pages(), b.pages());
    }

    private void requireSamePages(InMemoryMdev from, InMemoryMdev to) {
        for (MappablePage page : mappablePages(from, random())) {
            RegionInfo region = page.region();
            AccessResult wanted = from.guest().tryLoad(region.index(), page.offsetBytes(), 8);
            AccessResult got = to.guest().tryLoad(region.index(), page.offsetBytes(), 8);
            require(wanted.equals(got), "%s is %s here and %s there", page, wanted, got);
        }
    }

    /// The host gives an idle device other pages, with the content of the old ones.
    @DriverRule
    void aMovedDeviceGoesOnInItsNewPages() {
        atHosts(host -> {
            if (!LifeCycleRules.roomForTwo(host)) {
                return;
            }
            SplittableRandom random = random();
            InMemoryMdev mdev = anyDevice(host);
            List<MappablePage> pages = mappablePages(mdev, random.split());
            for (int round = 0; round < ROUNDS; round++) {
                scribble(mdev, random);
                List<MappablePage> marked = mark(mdev, pages, round);
                byte[] before = stateOf(mdev);
                if (!mdev.move()) {
                    return;
                }
                require(
                        !subject().isDeterministic() || Arrays.equals(before, stateOf(mdev)),
                        "registers after a move differ");
                // A driver that still uses its old pages writes to free pages.
                var _ = registers(mdev);
                for (MappablePage page : marked) {
                    long value = mdev.guest().load(page.region().index(), page.offsetBytes(), 8);
                    require(value == page.offsetBytes() + round, "%s holds 0x%x", page, value);
                }
            }
            // The driver's accesses to its old pages hit free pages.
            mdev.reset();
            pages.forEach(page -> requireZero(mdev, page));
        });
    }

    /// The saved state of the device, if it has one. Loads from registers would change some.
    private static byte[] stateOf(InMemoryMdev mdev) {
        Optional<InMemoryMdev.Saved> saved = mdev.save();
        mdev.resume();
        return saved.map(InMemoryMdev.Saved::state).orElse(new byte[0]);
    }

    private List<MappablePage> mark(InMemoryMdev mdev, List<MappablePage> pages, int round) {
        return pages.stream()
                .filter(page -> subject().keepsContent(page.region(), page.page()))
                .filter(page ->
                        mdev.guest()
                                        .tryStore(
                                                page.region().index(),
                                                page.offsetBytes(),
                                                8,
                                                page.offsetBytes() + round)
                                instanceof AccessResult.Done)
                .toList();
    }

    /// Bytes from the wire are not to be trusted.
    @DriverRule
    void spoiledStateIsRefusedOrBorne() {
        atDevice(mdev -> {
            SplittableRandom random = random();
            AccessTrace fresh = registers(mdev);
            scribble(mdev, random);
            Optional<InMemoryMdev.Saved> saved = mdev.save();
            if (saved.isEmpty()) {
                return;
            }
            for (int i = 0; i < 200; i++) {
                mdev.restore(spoil(saved.get(), random));
                mdev.resume();
                new HostileGuest(mdev, random.split()).run(10);
            }
            mdev.reset();
            requireSame(fresh, mdev, "registers after spoiled states and a reset");
        });
    }

    private static InMemoryMdev.Saved spoil(InMemoryMdev.Saved saved, SplittableRandom random) {
        byte[] state = Arrays.copyOf(saved.state(), saved.state().length);
        int version = saved.version();
        switch (random.nextInt(3)) {
            case 0 -> state = Arrays.copyOf(state, random.nextInt(state.length + 1));
            case 1 -> version = random.nextInt();
            default -> {
                for (int i = 0; i <= random.nextInt(8) && state.length > 0; i++) {
                    state[random.nextInt(state.length)] = (byte) random.nextInt();
                }
            }
        }
        return new InMemoryMdev.Saved(version, state, saved.pages(), saved.elastic());
    }
}
