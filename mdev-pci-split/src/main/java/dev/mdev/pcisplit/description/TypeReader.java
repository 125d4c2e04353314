package dev.mdev.pcisplit.description;

import dev.mdev.api.MdevType;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;
import dev.mdev.pcisplit.description.Description.Area;
import dev.mdev.pcisplit.description.Description.DeviceType;
import dev.mdev.pcisplit.description.Description.FixedArea;
import dev.mdev.pcisplit.description.Description.GuestBar;
import dev.mdev.pcisplit.description.Description.Identity;
import dev.mdev.pcisplit.description.Description.InterruptSource;
import dev.mdev.pcisplit.description.Description.PassedPage;
import dev.mdev.pcisplit.description.Description.Register;
import dev.mdev.pcisplit.description.Description.RegisterPlace;
import dev.mdev.pcisplit.description.Description.RegisterWrite;
import dev.mdev.pcisplit.description.Description.Reset;
import dev.mdev.pcisplit.description.Description.SharedArea;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.regex.Pattern;

/// Reads one type of a description.
final class TypeReader {
    private static final int MOST_DEVICES = 65_536;
    private static final int MOST_AHEAD = 512;
    private static final int MOST_MICROS = 1_000_000;
    private static final long MAX_BYTES = 1L << 52;
    private static final Pattern TYPE = Pattern.compile("[A-Za-z0-9._-]{1,64}");
    private static final Pattern WIDTH = Pattern.compile("[124]");

    private final Map<String, Long> demandBytes = new HashMap<>();

    private TypeReader() {}

    /// @param types the mapping that has the type
    static DeviceType read(String id, Fields types) {
        if (!TYPE.matcher(id).matches()) {
            types.mistake(id, "is not the id of a type: " + TYPE);
        }
        return new TypeReader().read(id, types.map(id), types);
    }

    private DeviceType read(String id, Fields fields, Fields types) {
        List<MdevType.Demand> demands = demands(fields.map("demands"));
        if (!fields.has("bars")) {
            types.mistake(id, "has no bars");
        }
        DeviceType type =
                new DeviceType(
                        id,
                        fields.text("name", DescriptionFile.LINE, id),
                        fields.text("description", DescriptionFile.LINE, id),
                        (int) fields.number("most", 1, MOST_DEVICES, MOST_DEVICES),
                        identity(fields.map("identity")),
                        demands,
                        bars(fields.map("bars")),
                        reset(fields.map("reset")),
                        fields.items("interrupts").stream().map(TypeReader::interrupt).toList());
        fields.end();
        return type;
    }

    private List<MdevType.Demand> demands(Fields fields) {
        List<MdevType.Demand> demands = new ArrayList<>();
        for (String pool : fields.keys()) {
            Fields demand = fields.map(pool);
            long sizeBytes = DescriptionFile.sizeOf(demand, "size");
            long stepBytes = demand.pages("step", Page.SIZE, MAX_BYTES, Page.SIZE);
            boolean contiguous = demand.flag("contiguous");
            demand.end();
            demandBytes.put(pool, sizeBytes);
            long npages = Page.numberOf(sizeBytes);
            long step = Page.numberOf(stepBytes);
            if (Long.bitCount(step) == 1 && npages > 0 && npages % step == 0) {
                demands.add(new MdevType.Demand(pool, npages, step, contiguous));
            } else {
                demand.mistake("step", "is no power of two that divides the size");
            }
        }
        return demands;
    }

    private static Identity identity(Fields fields) {
        Map<Identity.Field, Integer> given = new EnumMap<>(Identity.Field.class);
        for (Identity.Field field : Identity.Field.values()) {
            if (fields.has(field.word())) {
                given.put(field, (int) fields.number(field.word(), 0, field.most()));
            }
        }
        fields.end();
        return new Identity(given);
    }

    private List<GuestBar> bars(Fields fields) {
        List<GuestBar> bars = new ArrayList<>();
        for (String key : fields.keys()) {
            Optional<Long> index =
                    Numbers.parse(key).filter(number -> number <= RegionInfo.LAST_BAR);
            if (index.isEmpty()) {
                fields.mistake(key, "is not the number of a BAR, 0 to 5");
                continue;
            }
            Fields bar = fields.map(key);
            List<Area> areas =
                    bar.items("areas").stream()
                            .map(this::area)
                            .sorted(Comparator.comparingLong(Area::atBytes))
                            .toList();
            bars.add(
                    new GuestBar(
                            index.get().intValue(),
                            bar.text("name", DescriptionFile.LINE, "bar" + key),
                            bar.number("size", 1, MAX_BYTES, barBytes(areas)),
                            areas));
            bar.end();
        }
        return bars;
    }

    /// The next power of two.
    private static long barBytes(List<Area> areas) {
        long end = areas.isEmpty() ? Page.SIZE : areas.getLast().endBytes();
        long highest = Long.highestOneBit(Math.max(end, Page.SIZE));
        return highest == end ? end : highest << 1;
    }

    private Area area(Fields fields) {
        long at = fields.pages("at", 0, MAX_BYTES, 0);
        long kinds = List.of("pool", "values", "registers").stream().filter(fields::has).count();
        if (kinds != 1) {
            fields.mistake("needs exactly one of: pool, values, registers");
        }
        Area area;
        if (fields.has("registers")) {
            area = passed(fields, at);
        } else if (fields.has("values")) {
            area = fixed(fields, at);
        } else {
            area = shared(fields, at);
        }
        fields.end();
        return area;
    }

    private SharedArea shared(Fields fields, long at) {
        String pool = fields.text("pool", Pattern.compile(".{1,64}"), "");
        boolean isEager = fields.text("map", Pattern.compile("lazy|eager"), "lazy").equals("eager");
        int ahead = (int) fields.number("ahead", 0, MOST_AHEAD, 0);
        if (isEager && ahead > 0) {
            fields.mistake("ahead", "is for lazy areas");
        }
        return new SharedArea(
                at,
                demandBytes.getOrDefault(pool, (long) Page.SIZE),
                pool,
                isEager,
                ahead,
                fields.flag("read-only") ? Prot.READ : Prot.READ_WRITE);
    }

    private static FixedArea fixed(Fields fields, long at) {
        long size = fields.pages("size", Page.SIZE, 1 << 20, Page.SIZE);
        Fields values = fields.map("values");
        Map<Integer, Integer> fixed = new HashMap<>();
        for (String key : values.keys()) {
            Optional<Long> offset = Numbers.parse(key);
            if (offset.isEmpty() || offset.get() % 4 != 0 || offset.get() > size - 4) {
                values.mistake(key, "is not an offset in the area that is a multiple of 4");
            } else if (fixed.put(offset.get().intValue(), (int) values.number(key, 0, 0xffff_ffffL))
                    != null) {
                values.mistake(key, "is given twice");
            }
        }
        return new FixedArea(at, size, fixed);
    }

    private static PassedPage passed(Fields fields, long at) {
        Fields place = fields.map("registers");
        int bar = DescriptionFile.barOf(place);
        long offset = place.pages("offset", 0, MAX_BYTES, 0);
        place.end();
        List<Register> registers =
                fields.items("allow").stream()
                        .map(TypeReader::register)
                        .sorted(Comparator.comparingInt(Register::offset))
                        .toList();
        if (registers.isEmpty()) {
            fields.mistake("allow", "lists no register");
        }
        return new PassedPage(at, Page.SIZE, bar, offset, registers);
    }

    private static Register register(Fields fields) {
        int width = width(fields);
        int offset = (int) fields.number("offset", 0, Page.SIZE - 1);
        if (offset % width != 0) {
            fields.mistake("offset", "is not a multiple of the register's width");
        }
        long all = Register.allOnes(width);
        long readMask = fields.number("read", 0, all, all);
        long writeMask = fields.number("write", 0, all, 0);
        OptionalLong resetValue = writeMask == 0 ? OptionalLong.empty() : resetValue(fields, all);
        fields.end();
        return new Register(offset, width, readMask, writeMask, resetValue);
    }

    /// A guest must find nothing of the one before it, so that this has to be said.
    private static OptionalLong resetValue(Fields fields, long all) {
        return fields.isText("reset", "keep")
                ? OptionalLong.empty()
                : OptionalLong.of(fields.number("reset", 0, all));
    }

    private static int width(Fields fields) {
        return Integer.parseInt(fields.text("width", WIDTH, "4"));
    }

    private static Reset reset(Fields fields) {
        List<RegisterWrite> writes = new ArrayList<>();
        for (Fields write : fields.items("write")) {
            int width = width(write);
            long offset = write.number("offset", 0, MAX_BYTES);
            if (offset % width != 0) {
                write.mistake("offset", "is not a multiple of the register's width");
            }
            writes.add(
                    new RegisterWrite(
                            DescriptionFile.barOf(write),
                            offset,
                            width,
                            write.number("value", 0, Register.allOnes(width))));
            write.end();
        }
        boolean isOfFunction = fields.flag("function");
        fields.end();
        return new Reset(writes, isOfFunction);
    }

    private static InterruptSource interrupt(Fields fields) {
        RegisterPlace status = place(fields.map("status"));
        long all = Register.allOnes(status.widthBytes());
        Optional<RegisterPlace> clear =
                fields.has("clear") ? Optional.of(place(fields.map("clear"))) : Optional.empty();
        InterruptSource source =
                new InterruptSource(
                        status,
                        fields.number("bits", 1, all, all),
                        clear,
                        (int) fields.number("every-micros", 100, MOST_MICROS, 1000));
        fields.end();
        return source;
    }

    private static RegisterPlace place(Fields fields) {
        int width = width(fields);
        long offset = fields.number("offset", 0, MAX_BYTES);
        if (offset % width != 0) {
            fields.mistake("offset", "is not a multiple of the register's width");
        }
        RegisterPlace place = new RegisterPlace(DescriptionFile.barOf(fields), offset, width);
        fields.end();
        return place;
    }
}
