package dev.mdev.pcisplit.function;

import dev.mdev.api.MdevException;
import dev.mdev.api.PciIdentity;
import dev.mdev.api.page.Page;
import dev.mdev.pcisplit.description.Description;
import dev.mdev.pcisplit.description.Description.PassedPage;
import dev.mdev.pcisplit.description.Description.Pool;
import dev.mdev.pcisplit.description.Description.RegisterPlace;
import dev.mdev.pcisplit.description.Description.RegisterWrite;
import dev.mdev.pcisplit.description.Mistakes;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/// What must hold before a function is shared: it is the expected one, nobody else has it, and
/// everything that the description names is there. Looks only; changes nothing.
public final class FunctionCheck {
    private final Description description;
    private final PciFunction function;
    private final Path proc;
    private final Mistakes mistakes = new Mistakes();

    private FunctionCheck(Description description, PciFunction function, Path proc) {
        this.description = description;
        this.function = function;
        this.proc = proc;
    }

    /// @param proc where the files of processes are
    /// @return all that is missing, or the programs that hold the function; empty if it can be
    ///   shared
    public static Mistakes of(Description description, PciFunction function, Path proc) {
        FunctionCheck check = new FunctionCheck(description, function, proc);
        try {
            check.run();
        } catch (MdevException e) {
            // The function is unreadable, and all else depends on it.
            check.mistakes.add(e.getMessage());
        }
        return check.mistakes;
    }

    private void run() {
        if (!function.isThere()) {
            mistakes.add("there is no function " + function.address());
            return;
        }
        checkIdentity();
        checkOwner();
        ConfigSpace config = function.config();
        if (config.isAllOnes()) {
            mistakes.add("the function does not answer: it reads as all ones");
            return;
        }
        mistakes.require(config.isPlain(), "the function is a bridge");
        Map<Integer, PciFunction.Bar> bars = new TreeMap<>();
        function.bars().forEach(bar -> bars.put(bar.index(), bar));
        Parts parts = new Parts(bars, config);
        description.pools().forEach(parts::checkPool);
        description
                .types()
                .forEach(type -> {
                    type.passedPages().forEach(page -> parts.checkPage(type.id(), page));
                    type.reset().writes().forEach(write -> parts.checkWrite(type.id(), write));
                    type.interrupts().stream()
                            .flatMap(source -> source.registers().stream())
                            .forEach(place -> parts.checkInterrupt(type.id(), place));
                    mistakes.require(
                            !type.reset().isOfFunction() || function.canReset(),
                            "type %s resets the function, which has no file reset"
                                    .formatted(type.id()));
                });
    }

    private void checkIdentity() {
        PciIdentity is = function.identity();
        description
                .expected()
                .ifPresent(ids ->
                        mistakes.require(
                                ids.vendor() == is.vendorId() && ids.device() == is.deviceId(),
                                "the function is %04x:%04x, and not %04x:%04x"
                                        .formatted(
                                                is.vendorId(),
                                                is.deviceId(),
                                                ids.vendor(),
                                                ids.device())));
    }

    private void checkOwner() {
        mistakes.require(
                description.isForced() || !function.isHostDisplay(),
                "the function is the host's display: it is shared only with force: true");
        String wanted = description.stub().orElse("");
        String driver = function.driver().orElse("");
        if (!driver.isEmpty() && !driver.equals(wanted)) {
            mistakes.add(
                    ("the kernel's driver %s has the function: unbind it (echo %s >"
                                    + " /sys/bus/pci/drivers/%s/unbind), or name it as the stub if"
                                    + " it does nothing")
                            .formatted(driver, function.address(), driver));
        }
        Set<String> holders = new Holders(proc).of(realFolder(), userFiles());
        mistakes.require(holders.isEmpty(), "processes have the function open: " + holders);
    }

    private Path realFolder() {
        try {
            return function.folder().toRealPath();
        } catch (IOException e) {
            return function.folder();
        }
    }

    /// The files of `/dev` by which programs use the function.
    private Set<Path> userFiles() {
        Set<Path> files = new HashSet<>();
        function.iommuGroup().ifPresent(group -> files.add(Path.of("/dev/vfio", group)));
        function.vfioDevices().forEach(name -> files.add(Path.of("/dev/vfio/devices", name)));
        function.uio().ifPresent(name -> files.add(Path.of("/dev", name)));
        return files;
    }

    /// The parts of the function that the description names.
    private final class Parts {
        private final Map<Integer, PciFunction.Bar> bars;
        private final ConfigSpace config;

        Parts(Map<Integer, PciFunction.Bar> bars, ConfigSpace config) {
            this.bars = bars;
            this.config = config;
        }

        void checkPool(Pool pool) {
            String what = "pool " + pool.name();
            Path file = function.file(pool.bar(), pool.combinesWrites());
            if (checkPart(what, pool.bar(), pool.offsetBytes(), pool.endBytes())
                    && checkFile(what, file)) {
                checkNoInterrupts(what, pool.bar(), pool.offsetBytes(), pool.endBytes());
            }
        }

        void checkPage(String type, PassedPage page) {
            String what = "a page of registers of type " + type;
            long end =
                    page.offsetBytes()
                            + page.registers().getLast().offset()
                            + page.registers().getLast().widthBytes();
            if (checkPart(what, page.bar(), page.offsetBytes(), end)
                    && checkFile(what, function.file(page.bar(), false))) {
                page.registers()
                        .forEach(register -> {
                            long at = page.offsetBytes() + register.offset();
                            checkNoInterrupts(what, page.bar(), at, at + register.widthBytes());
                        });
            }
        }

        void checkWrite(String type, RegisterWrite write) {
            String what = "the reset of type " + type;
            if (checkPart(
                    what,
                    write.bar(),
                    write.offsetBytes(),
                    write.offsetBytes() + write.widthBytes())) {
                var _ = checkFile(what, function.file(write.bar(), false));
            }
        }

        void checkInterrupt(String type, RegisterPlace place) {
            String what = "an interrupt of type " + type;
            if (checkPart(what, place.bar(), place.offsetBytes(), place.endBytes())
                    && checkFile(what, function.file(place.bar(), false))) {
                checkNoInterrupts(what, place.bar(), place.offsetBytes(), place.endBytes());
            }
        }

        private boolean checkPart(String what, int index, long offset, long end) {
            PciFunction.Bar bar = bars.get(index);
            String trouble = "";
            if (bar == null) {
                trouble = "the function has no BAR " + index;
            } else if (!bar.isMemory()) {
                trouble = "BAR %d is I/O ports".formatted(index);
            } else if (!Page.isAligned(bar.startBytes())) {
                trouble = "BAR %d begins inside a page, which others share".formatted(index);
            } else if (end > bar.sizeBytes() || offset >= bar.sizeBytes()) {
                trouble =
                        "0x%x to 0x%x is outside BAR %d, which has 0x%x bytes"
                                .formatted(offset, end, index, bar.sizeBytes());
            }
            mistakes.require(trouble.isEmpty(), what + ": " + trouble);
            return trouble.isEmpty();
        }

        private boolean checkFile(String what, Path file) {
            if (!Files.isRegularFile(file)) {
                mistakes.add("%s: there is no file %s".formatted(what, file.getFileName()));
                return false;
            }
            if (!Files.isReadable(file) || !Files.isWritable(file)) {
                mistakes.add(
                        "%s: this process may not read and write %s; it needs root's rights"
                                .formatted(what, file.getFileName()));
                return false;
            }
            return true;
        }

        /// A guest that writes there would send interrupts, or other stores, to any address.
        private void checkNoInterrupts(String what, int bar, long offset, long end) {
            for (ConfigSpace.InterruptTable table : config.interruptTables()) {
                mistakes.require(
                        table.bar() != bar
                                || end <= table.offsetBytes()
                                || table.endBytes() <= offset,
                        "%s has the function's %s in it: that would give a guest the whole device"
                                .formatted(what, table.what()));
            }
        }
    }
}
