package dev.mdev.host;

import dev.mdev.api.DeviceState;
import dev.mdev.api.Display;
import dev.mdev.api.DoorbellInfo;
import dev.mdev.api.Errno;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.PoolShare;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.ReportLevel;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.device.Mdev;
import dev.mdev.host.HostileDriver.Vice;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/// A device of the [HostileDriver].
///
/// @param vice what it does wrong
/// @param clears whether the host clears its pages before a reset
record HostileDevice(Vice vice, boolean clears, PfnRange aperture, MdevContext context)
        implements MdevDevice {
    private static final String NOVEL = "x".repeat(7_000_000);
    private static final String SEQUEL = "y".repeat(7_000_000);

    private static final DoorbellInfo DOORBELL = new DoorbellInfo(2, 0, Integer.BYTES);

    private PfnRange share() {
        return context.share("pages").extents().getFirst();
    }

    @Override
    public Optional<DeviceState> state() {
        return switch (vice) {
            case REFUSES_STATE -> Optional.of(new Refusing());
            case HANGS_WHEN_ASKED -> Optional.of(new Hanging());
            case SAVES_WITHOUT_END -> Optional.of(new Endless());
            default -> Optional.empty();
        };
    }

    @Override
    public Map<String, Long> counters() {
        if (vice == Vice.HANGS_WHEN_ASKED) {
            HostileDriver.Stuck.hang(true);
        }
        return switch (vice) {
            case COUNTS_EVERYTHING ->
                    IntStream.rangeClosed(0, Mdev.MAX_COUNTERS)
                            .boxed()
                            .collect(Collectors.toMap(i -> "c" + i, Long::valueOf));
            case COUNTS_AT_LENGTH -> Map.of(NOVEL, 1L, SEQUEL, 2L);
            default -> Map.of();
        };
    }

    @Override
    public Optional<Display> display() {
        if (vice == Vice.HANGS_WHEN_ASKED) {
            HostileDriver.Stuck.hang(true);
        }
        return Optional.empty();
    }

    @Override
    public boolean isMovable() {
        return vice == Vice.MOVABLE;
    }

    @Override
    public void shareMoved(List<PoolShare> share) {}

    @Override
    @SuppressWarnings("NullAway") // One vice is to answer null.
    public List<RegionInfo> regions() {
        RegionInfo pages =
                RegionInfo.of(
                        0, "pages", Page.bytesOf(HostileDriver.SHARE_PAGES), RegionArea.Kind.LAZY);
        return switch (vice) {
            case HAS_NO_REGIONS -> null;
            case THROWS_WHEN_RUNG, HAS_WORK_FOR_EVER ->
                    List.of(
                            pages,
                            RegionInfo.of(
                                    DOORBELL.region(),
                                    "doorbell",
                                    Page.SIZE,
                                    RegionArea.Kind.TRAPPED));
            default -> List.of(pages);
        };
    }

    @Override
    public List<DoorbellInfo> doorbells() {
        return switch (vice) {
            case THROWS_WHEN_RUNG, HAS_WORK_FOR_EVER -> List.of(DOORBELL);
            default -> List.of();
        };
    }

    @Override
    public DoorbellInfo.Answer rung(int doorbell) {
        if (vice == Vice.THROWS_WHEN_RUNG) {
            throw new IllegalStateException("no work today");
        }
        return DoorbellInfo.Answer.AGAIN;
    }

    @Override
    public void assigned(boolean held) {
        if (vice == (held ? Vice.THROWS_WHEN_ASSIGNED : Vice.THROWS_WHEN_RELEASED)) {
            throw new IllegalStateException("not you");
        }
    }

    @Override
    @SuppressWarnings("NullAway") // One vice is to answer null.
    public MapDecision validateMapRequest(MapRequest request) {
        long page = request.page();
        PfnRange share = share();
        return switch (vice) {
            case HONEST,
                    THROWS_AT_CREATE,
                    THROWS_AT_RESET,
                    THROWS_AT_CLOSE,
                    HANGS_AT_CREATE,
                    HANGS_AT_CLOSE,
                    HANGS_WHEN_ASKED,
                    REFUSES_STATE,
                    SAVES_WITHOUT_END,
                    COUNTS_EVERYTHING,
                    COUNTS_AT_LENGTH,
                    THROWS_WHEN_ASSIGNED,
                    THROWS_WHEN_RELEASED,
                    THROWS_WHEN_RUNG,
                    HAS_WORK_FOR_EVER,
                    REVOKES_TOO_EARLY,
                    HAS_NO_REGIONS,
                    MOVABLE,
                    BIG ->
                    grant(page, share.firstPfn() + page, 1);
            case DENIES -> new MapDecision.Deny("no licence");
            case DENIES_WITH_A_NOVEL -> new MapDecision.Deny(NOVEL);
            case NAMES_A_NOVEL -> new MapDecision.FromPool(page, NOVEL, page, 1, Prot.READ_WRITE);
            case NEVER_DECIDES -> new MapDecision.Again("the licence server is slow");
            case TRAPS, THROWS_IN_A_REGISTER, HANGS_IN_A_REGISTER -> new MapDecision.Trap();
            case KEEPS_PINS -> {
                // Neither this pin nor those before it are ever closed.
                var _ = context.guestMemory().pin(Page.addressOf(page), 1, Access.WRITE);
                yield grant(page, share.firstPfn() + page, 1);
            }
            case GRANTS_OTHERS_PAGES -> grant(page, someoneElse(), 1);
            case GRANTS_OUTSIDE_THE_APERTURE -> grant(page, aperture.endPfn(), 1);
            case GRANTS_TOO_MUCH ->
                    grant(page, share.firstPfn() + page, HostileDriver.SHARE_PAGES - page + 1);
            case GRANTS_BESIDE_THE_PAGE ->
                    grant((page + 1) % HostileDriver.SHARE_PAGES, share.firstPfn() + page, 1);
            case GRANTS_ONLY_READING ->
                    MapDecision.grantPage(request, share.firstPfn() + page, Prot.READ);
            case GRANTS_NO_RIGHTS ->
                    MapDecision.grantPage(request, share.firstPfn() + page, Prot.NONE);
            case ANSWERS_NULL -> null;
            case THROWS_ERRNO -> throw new MdevException(Errno.ENOMEM, "page tables are full");
            case THROWS_ANYTHING -> throw new IllegalStateException("a bug");
            case THROWS_THE_UNNAMEABLE -> throw new Unnameable();
            case LEAVES_INTERRUPTED -> {
                Thread.currentThread().interrupt();
                yield grant(page, share.firstPfn() + page, 1);
            }
            case RECURSES -> validateMapRequest(request);
            case REPORTS -> {
                for (int i = 0; i < 1000; i++) {
                    context.report(
                            ReportLevel.WARNING, "smoke\nERROR all is lost " + "!".repeat(100_000));
                }
                yield grant(page, share.firstPfn() + page, 1);
            }
            case REVOKES -> {
                context.revoke(0, page, 1);
                yield grant(page, share.firstPfn() + page, 1);
            }
            case HANGS -> {
                try (FileChannel file = FileChannel.open(self())) {
                    HostileDriver.Stuck.hang(false);
                    var _ = file.read(ByteBuffer.allocate(1));
                } catch (IOException e) {
                    throw new MdevException(Errno.EIO, "the file is closed", e);
                }
                yield grant(page, share.firstPfn() + page, 1);
            }
            case HANGS_DEAF -> {
                HostileDriver.Stuck.hang(true);
                yield grant(page, share.firstPfn() + page, 1);
            }
        };
    }

    /// Any file.
    private static Path self() {
        return Path.of(System.getProperty("java.home"), "release");
    }

    private static MapDecision grant(long page, long pfn, long npages) {
        return new MapDecision.Grant(page, new PfnRange(pfn, npages), Prot.READ_WRITE);
    }

    /// A page of the aperture that is not this device's.
    private long someoneElse() {
        return share().firstPfn() == aperture.firstPfn() ? share().endPfn() : aperture.firstPfn();
    }

    @Override
    public long read(int region, long offsetBytes, int widthBytes) {
        touchRegister();
        return 0x5A;
    }

    @Override
    public void write(int region, long offsetBytes, int widthBytes, long value) {
        touchRegister();
    }

    private void touchRegister() {
        if (vice == Vice.THROWS_IN_A_REGISTER) {
            throw new IllegalStateException("a broken register");
        }
        if (vice == Vice.HANGS_IN_A_REGISTER) {
            HostileDriver.Stuck.hang(true);
        }
    }

    @Override
    public boolean clearedByHost() {
        return clears;
    }

    @Override
    public void reset() {
        if (vice == Vice.THROWS_AT_RESET) {
            throw new IllegalStateException("cannot reset");
        }
    }

    @Override
    public void close() {
        if (vice == Vice.THROWS_AT_CLOSE) {
            throw new IllegalStateException("cannot close");
        }
        if (vice == Vice.HANGS_AT_CLOSE) {
            HostileDriver.Stuck.hang(true);
        }
    }

    /// The state of a register that is 7.
    private abstract static class OneRegister implements DeviceState {
        @Override
        public int version() {
            return 1;
        }

        @Override
        public void save(DataOutput out) throws IOException {
            out.writeInt(7);
        }
    }

    /// The driver refuses its own saved state.
    private static final class Refusing extends OneRegister {
        @Override
        public void restore(int version, DataInput in) throws IOException {
            throw new IOException("register 3 cannot be 7");
        }
    }

    /// A state that is larger than any store.
    private static final class Endless extends OneRegister {
        @Override
        public void save(DataOutput out) throws IOException {
            byte[] part = new byte[1 << 20];
            while (true) {
                out.write(part);
            }
        }

        @Override
        public void restore(int version, DataInput in) throws IOException {
            throw new IOException("there is no end");
        }
    }

    private static final class Unnameable extends RuntimeException {
        private static final long serialVersionUID = 1L;

        @Override
        public String getMessage() {
            throw new IllegalStateException("no name today");
        }
    }

    /// A driver whose state cannot be restored in time.
    private static final class Hanging extends OneRegister {
        @Override
        public void restore(int version, DataInput in) throws IOException {
            var _ = in.readInt();
            HostileDriver.Stuck.hang(true);
        }
    }
}
