package dev.mdev.pcisplit.description;

import dev.mdev.api.IrqInfo;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.PciOptions;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.layout.BarLayout;
import dev.mdev.api.page.Page;
import dev.mdev.pcisplit.description.Description.Area;
import dev.mdev.pcisplit.description.Description.DeviceType;
import dev.mdev.pcisplit.description.Description.GuestBar;
import dev.mdev.pcisplit.description.Description.InterruptSource;
import dev.mdev.pcisplit.description.Description.PassedPage;
import dev.mdev.pcisplit.description.Description.Pool;
import dev.mdev.pcisplit.description.Description.Register;
import dev.mdev.pcisplit.description.Description.RegisterPlace;
import dev.mdev.pcisplit.description.Description.RegisterWrite;
import dev.mdev.pcisplit.description.Description.SharedArea;

import java.util.HashSet;
import java.util.List;
import java.util.Set;

/// The rules that a description has to keep whatever the function is: it must be possible, and no
/// guest may reach another guest's pages or the function as a whole.
final class DescriptionRules {
    /// What MSI has (PCI Local Bus 3.0, 6.8.1).
    private static final int MOST_INTERRUPTS = 32;

    private final Description description;
    private final Mistakes mistakes;

    private DescriptionRules(Description description, Mistakes mistakes) {
        this.description = description;
        this.mistakes = mistakes;
    }

    static void check(Description description, Mistakes mistakes) {
        new DescriptionRules(description, mistakes).check();
    }

    private void check() {
        mistakes.require(!description.pools().isEmpty(), "there are no pools");
        mistakes.require(!description.types().isEmpty(), "there are no types");
        List<Pool> pools = description.pools();
        for (int i = 0; i < pools.size(); i++) {
            for (Pool other : pools.subList(0, i)) {
                checkDisjoint(pools.get(i), other);
            }
        }
        description.types().forEach(this::checkType);
    }

    private void checkDisjoint(Pool pool, Pool other) {
        mistakes.require(
                pool.bar() != other.bar()
                        || pool.endBytes() <= other.offsetBytes()
                        || other.endBytes() <= pool.offsetBytes(),
                "pools %s and %s overlap in BAR %d"
                        .formatted(other.name(), pool.name(), pool.bar()));
    }

    private void checkType(DeviceType type) {
        String what = "type " + type.id();
        mistakes.require(!type.demands().isEmpty(), what + " demands nothing");
        Set<String> demanded = new HashSet<>();
        for (MdevType.Demand demand : type.demands()) {
            demanded.add(demand.pool());
            checkDemand(what, demand);
        }
        Set<String> shown = new HashSet<>();
        for (GuestBar bar : type.bars()) {
            String place = "%s BAR %d".formatted(what, bar.index());
            checkBar(place, bar);
            for (Area area : bar.areas()) {
                if (area instanceof SharedArea shared) {
                    mistakes.require(
                            demanded.contains(shared.pool()),
                            "%s shows pool %s, which the type does not demand"
                                    .formatted(place, shared.pool()));
                    mistakes.require(
                            shown.add(shared.pool()),
                            "%s shows pool %s twice".formatted(what, shared.pool()));
                }
            }
        }
        if (type.bars().stream().allMatch(DescriptionRules::hasPossibleSize)) {
            checkLayout(what, type.bars());
        }
        demanded.stream()
                .filter(pool -> !shown.contains(pool))
                .forEach(pool ->
                        mistakes.add(
                                "%s demands pool %s, and shows it in no BAR"
                                        .formatted(what, pool)));
        type.passedPages().forEach(page -> checkPassed(what, page));
        checkReset(what, type);
        checkInterrupts(what, type);
    }

    private void checkDemand(String what, MdevType.Demand demand) {
        description.pools().stream()
                .filter(pool -> pool.name().equals(demand.pool()))
                .findFirst()
                .ifPresentOrElse(
                        pool ->
                                mistakes.require(
                                        demand.npages() <= Page.numberOf(pool.sizeBytes()),
                                        "%s demands more of pool %s than it has"
                                                .formatted(what, demand.pool())),
                        () ->
                                mistakes.add(
                                        "%s demands pool %s, which is not described"
                                                .formatted(what, demand.pool())));
    }

    private void checkBar(String place, GuestBar bar) {
        mistakes.require(!bar.areas().isEmpty(), place + " has no areas");
        if (!hasPossibleSize(bar)) {
            mistakes.add(place + " has a size that is no power of two from 16");
            return;
        }
        long end = 0;
        for (Area area : bar.areas()) {
            mistakes.require(
                    area.atBytes() >= end,
                    "%s: the areas overlap at %s".formatted(place, Numbers.hex(area.atBytes())));
            end = Math.max(end, area.endBytes());
        }
        mistakes.require(end <= bar.sizeBytes(), place + ": an area lies outside the BAR");
    }

    private static boolean hasPossibleSize(GuestBar bar) {
        return Long.bitCount(bar.sizeBytes()) == 1 && bar.sizeBytes() >= BarLayout.MIN_BAR_BYTES;
    }

    /// The rules of PCI that no field names: all BARs of a type share six registers.
    private void checkLayout(String what, List<GuestBar> bars) {
        try {
            var _ =
                    BarLayout.of(
                            bars.stream()
                                    .map(bar ->
                                            new RegionInfo(
                                                    bar.index(),
                                                    bar.name(),
                                                    bar.sizeBytes(),
                                                    List.of()))
                                    .toList(),
                            IrqInfo.NONE,
                            PciOptions.DEFAULT);
        } catch (MdevException e) {
            mistakes.add(what + ": " + e.getMessage());
        }
    }

    /// A register that a guest reaches belongs to no pool, cannot reset the function, and is one of
    /// a few.
    private void checkPassed(String what, PassedPage page) {
        String place =
                "%s passes registers of BAR %d at %s"
                        .formatted(what, page.bar(), Numbers.hex(page.offsetBytes()));
        long end = page.offsetBytes() + Page.SIZE;
        for (Pool pool : description.pools()) {
            mistakes.require(
                    pool.bar() != page.bar()
                            || end <= pool.offsetBytes()
                            || pool.endBytes() <= page.offsetBytes(),
                    "%s, which are in pool %s: a guest would reach the pages of others"
                            .formatted(place, pool.name()));
        }
        int next = 0;
        int writableBytes = 0;
        for (Register register : page.registers()) {
            mistakes.require(
                    register.offset() >= next,
                    "%s: the registers overlap at %s"
                            .formatted(place, Numbers.hex(register.offset())));
            next = register.offset() + register.widthBytes();
            writableBytes += register.isFullyWritable() ? register.widthBytes() : 0;
            checkNotReset(place, page, register);
        }
        mistakes.require(
                writableBytes < Page.SIZE,
                place + ", all of them for any store: that would give a guest the whole device");
    }

    private void checkNotReset(String place, PassedPage page, Register register) {
        long at = page.offsetBytes() + register.offset();
        for (DeviceType other : description.types()) {
            for (RegisterWrite write : other.reset().writes()) {
                boolean same =
                        write.bar() == page.bar()
                                && write.offsetBytes() < at + register.widthBytes()
                                && at < write.offsetBytes() + write.widthBytes();
                mistakes.require(
                        !same || register.writeMask() == 0,
                        ("%s: the guest could store to %s, by which type %s is reset: that would"
                                        + " give a guest the whole device")
                                .formatted(place, Numbers.hex(at), other.id()));
            }
        }
    }

    private void checkReset(String what, DeviceType type) {
        mistakes.require(
                !type.reset().isOfFunction()
                        || (description.types().size() == 1 && type.most() == 1),
                what
                        + " resets the whole function, and so all its devices: let it be the only"
                        + " type, with most: 1");
        for (RegisterWrite write : type.reset().writes()) {
            for (Pool pool : description.pools()) {
                mistakes.require(
                        pool.bar() != write.bar()
                                || write.offsetBytes() + write.widthBytes() <= pool.offsetBytes()
                                || pool.endBytes() <= write.offsetBytes(),
                        "%s stores at its reset to %s of BAR %d, which is in pool %s"
                                .formatted(
                                        what,
                                        Numbers.hex(write.offsetBytes()),
                                        write.bar(),
                                        pool.name()));
            }
        }
    }

    /// All devices of a type look at the same register: what one clears, the others miss.
    private void checkInterrupts(String what, DeviceType type) {
        mistakes.require(
                type.interrupts().size() <= MOST_INTERRUPTS,
                "%s has more than %d interrupts".formatted(what, MOST_INTERRUPTS));
        for (InterruptSource source : type.interrupts()) {
            mistakes.require(
                    source.clear().isEmpty()
                            || (description.types().size() == 1 && type.most() == 1),
                    what
                            + " clears an interrupt, which its other devices would miss: let it be"
                            + " the only type, with most: 1");
            for (RegisterPlace place : source.registers()) {
                for (Pool pool : description.pools()) {
                    mistakes.require(
                            pool.bar() != place.bar()
                                    || place.endBytes() <= pool.offsetBytes()
                                    || pool.endBytes() <= place.offsetBytes(),
                            "%s has an interrupt by %s of BAR %d, which is in pool %s"
                                    .formatted(
                                            what,
                                            Numbers.hex(place.offsetBytes()),
                                            place.bar(),
                                            pool.name()));
                }
            }
        }
    }
}
