package dev.mdev.core.bus;

import dev.mdev.api.Aperture;
import dev.mdev.api.DeviceState;
import dev.mdev.api.ExistingDevice;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.api.PoolShare;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.device.Parent;
import dev.mdev.core.ledger.PoolRuns;
import dev.mdev.core.store.CrashPlan;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;

/// One process's driver of [Card]s. A device that it makes looks at all its pages first, which must
/// be zero, and writes its mark into each.
final class CardDriver implements ParentDriver {
    static final int BAR = 0;
    static final int REGISTERS = 2;

    final List<Card> cards;
    final CrashPlan plan;
    final Map<UUID, Device> devices = new ConcurrentHashMap<>();
    final List<String> calls = new CopyOnWriteArrayList<>();

    /// Pages that a new device found dirty: what must never happen.
    final List<String> leaks = new CopyOnWriteArrayList<>();

    volatile Consumer<Device> onCreate = device -> {};
    volatile Consumer<Device> onClose = device -> {};
    volatile Consumer<Device> onMove = device -> {};
    volatile Runnable onParentClose = () -> {};
    volatile Runnable onRegions = () -> {};
    volatile UnaryOperator<String> onParentName = name -> name;
    volatile Runnable onRestore = () -> {};
    volatile Runnable onSave = () -> {};
    volatile Supplier<CompletionStage<Void>> onQuiesce =
            () -> CompletableFuture.completedStage(null);

    /// While a device answers what may be mapped.
    volatile Runnable onAsked = () -> {};

    volatile Consumer<Device> onReset = device -> {};
    volatile Runnable onResume = () -> {};
    volatile Consumer<Boolean> onAssigned = held -> {};
    volatile Runnable onAdopt = () -> {};

    /// After a parent looked for its devices, and before it reports them.
    volatile Runnable onExisting = () -> {};

    volatile int extraStateBytes;
    volatile int stateVersion = 3;
    volatile boolean movable = true;
    volatile boolean clearedByHost;
    volatile boolean adopts = true;
    volatile boolean marksPages = true;

    CardDriver(CrashPlan plan, Card... cards) {
        this.plan = plan;
        this.cards = List.of(cards);
    }

    CardDriver(Card... cards) {
        this(new CrashPlan(), cards);
    }

    @Override
    public String name() {
        return "card";
    }

    @Override
    public List<ParentDevice> probe(ParentHost host) {
        return cards.stream().<ParentDevice>map(Parent::new).toList();
    }

    Device device(UUID uuid) {
        Device device = devices.get(uuid);
        if (device == null) {
            throw new AssertionError("the driver has no " + uuid);
        }
        return device;
    }

    private final class Parent implements ParentDevice {
        private final Card card;
        private final Aperture aperture;

        Parent(Card card) {
            this.card = card;
            this.aperture = card.vram.mapped(Card.takePfns(), plan);
        }

        @Override
        public String name() {
            return onParentName.apply(card.name);
        }

        @Override
        public String description() {
            return "a card for tests";
        }

        @Override
        public Aperture aperture() {
            return aperture;
        }

        @Override
        public List<ResourcePool> pools() {
            return List.of(new ResourcePool(Card.POOL, aperture.pfns()));
        }

        @Override
        public List<MdevType> types() {
            return card.types;
        }

        @Override
        public MdevDevice create(MdevContext context) {
            plan.step();
            Device device = new Device(card, this, context);
            devices.put(context.uuid(), device);
            if (card.keepsDevices) {
                device.keep(context.share());
            }
            plan.step();
            device.mark();
            try {
                onCreate.accept(device);
            } catch (RuntimeException e) {
                card.kept.remove(context.uuid());
                devices.remove(context.uuid());
                throw e;
            }
            plan.step();
            calls.add("create " + context.uuid());
            return device;
        }

        @Override
        public List<ExistingDevice> existing() {
            List<ExistingDevice> found =
                    card.kept.entrySet().stream()
                            .filter(entry -> !devices.containsKey(entry.getKey()))
                            .map(entry ->
                                    new ExistingDevice(
                                            entry.getKey(),
                                            entry.getValue().type(),
                                            Card.shareOf(entry.getValue(), aperture.pfns())))
                            .toList();
            onExisting.run();
            return found;
        }

        @Override
        public MdevDevice adopt(MdevContext context) {
            plan.step();
            if (!adopts) {
                return ParentDevice.super.adopt(context);
            }
            onAdopt.run();
            Device device = new Device(card, this, context);
            devices.put(context.uuid(), device);
            plan.step();
            calls.add("adopt " + context.uuid());
            return device;
        }

        @Override
        public void close() {
            onParentClose.run();
            calls.add("close " + card.name);
        }
    }

    /// A device.
    public final class Device implements MdevDevice, DeviceState {
        final Card card;
        final MdevContext context;
        final Aperture aperture;
        volatile List<PoolShare> share;
        volatile int register;
        final AtomicInteger resets = new AtomicInteger();
        volatile boolean closed;
        volatile boolean touchedAfterClose;

        Device(Card card, ParentDevice parent, MdevContext context) {
            this.card = card;
            this.context = context;
            this.aperture = parent.aperture();
            this.share = context.share();
        }

        UUID uuid() {
            return context.uuid();
        }

        void keep(List<PoolShare> pages) {
            card.kept.put(
                    uuid(),
                    new Card.Kept(context.type().id(), PoolRuns.of(pages, aperture.pfns())));
        }

        /// The byte that this device leaves in its pages, never zero.
        byte markByte() {
            return (byte) (uuid().hashCode() | 1);
        }

        void mark() {
            for (PoolShare pool : share) {
                for (PfnRange extent : pool.extents()) {
                    long first = extent.firstPfn() - aperture.pfns().firstPfn();
                    if (!card.vram.isZero(first, extent.npages())) {
                        leaks.add("%s got dirty pages %s".formatted(uuid(), extent));
                    }
                    if (marksPages) {
                        byte[] bytes = new byte[(int) Page.bytesOf(extent.npages())];
                        Arrays.fill(bytes, markByte());
                        aperture.write(Page.addressOf(first), MemorySegment.ofArray(bytes));
                    }
                }
            }
        }

        /// Whether all its pages have its mark.
        boolean hasItsMarks() {
            for (PoolShare pool : share) {
                for (PfnRange extent : pool.extents()) {
                    long first = extent.firstPfn() - aperture.pfns().firstPfn();
                    for (long i = 0; i < Page.bytesOf(extent.npages()); i += 512) {
                        if (card.vram.at(Page.addressOf(first) + i) != markByte()) {
                            return false;
                        }
                    }
                }
            }
            return true;
        }

        @Override
        public List<RegionInfo> regions() {
            onRegions.run();
            long npages = share.getFirst().npages();
            return List.of(
                    RegionInfo.of(
                            BAR,
                            "vram",
                            Page.bytesOf(Long.highestOneBit(2 * npages - 1)),
                            RegionArea.Kind.LAZY),
                    RegionInfo.of(REGISTERS, "regs", Page.SIZE, RegionArea.Kind.TRAPPED));
        }

        @Override
        public MapDecision validateMapRequest(MapRequest request) {
            note();
            onAsked.run();
            PoolShare pages = share.getFirst();
            return request.page() < pages.npages()
                    ? MapDecision.grantPage(request, pages.pfnOf(request.page()), Prot.READ_WRITE)
                    : new MapDecision.Deny("beyond the memory");
        }

        private void note() {
            if (closed) {
                touchedAfterClose = true;
            }
        }

        @Override
        public long read(int region, long offsetBytes, int widthBytes) {
            note();
            return register;
        }

        @Override
        public void write(int region, long offsetBytes, int widthBytes, long value) {
            note();
            register = (int) value;
        }

        @Override
        public boolean clearedByHost() {
            return clearedByHost;
        }

        @Override
        public void assigned(boolean held) {
            onAssigned.accept(held);
        }

        @Override
        public boolean isMovable() {
            return movable;
        }

        @Override
        public void shareMoved(List<PoolShare> moved) {
            plan.step();
            onMove.accept(this);
            share = moved;
            if (card.keepsDevices) {
                keep(moved);
            }
            plan.step();
            calls.add("move " + uuid());
        }

        @Override
        public Optional<DeviceState> state() {
            return Optional.of(this);
        }

        @Override
        public CompletionStage<Void> quiesce() {
            return onQuiesce.get();
        }

        @Override
        public void stop() {
            calls.add("stop " + uuid());
        }

        @Override
        public void resume() {
            calls.add("resume " + uuid());
            onResume.run();
        }

        @Override
        public int version() {
            return stateVersion;
        }

        @Override
        public void save(DataOutput out) throws IOException {
            calls.add("save " + uuid());
            onSave.run();
            out.writeInt(register);
            out.writeUTF("end");
            for (int i = 0; i < extraStateBytes; i += 4096) {
                out.write(new byte[4096]);
            }
        }

        @Override
        public void restore(int version, DataInput in) throws IOException {
            calls.add("restore " + uuid());
            onRestore.run();
            if (version != 3) {
                throw new IOException("version " + version);
            }
            int value = in.readInt();
            if (!in.readUTF().equals("end")) {
                throw new IOException("no end");
            }
            register = value;
        }

        @Override
        public void reset() {
            note();
            onReset.accept(this);
            register = 0;
            resets.incrementAndGet();
            calls.add("reset " + uuid());
        }

        @Override
        public void close() {
            plan.step();
            onClose.accept(this);
            note();
            closed = true;
            card.kept.remove(uuid());
            devices.remove(uuid());
            plan.step();
            calls.add("close " + uuid());
        }
    }
}
