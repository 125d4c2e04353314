package dev.mdev.core.engine.kvm.mm;

import dev.mdev.core.addr.HvaRange;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/// The mappings that the kernel has in a range of addresses, as far as they are ours: adjacent
/// mappings that continue each other are one, as in the kernel. Not for concurrent use.
final class VmaMap {
    private final HvaRange range;
    private final TreeMap<Long, Piece> pieces = new TreeMap<>();

    /// A mapping.
    ///
    /// @param endHva first address after it
    /// @param target the target at its start
    private record Piece(long endHva, Target target) {}

    /// The target of an address.
    ///
    /// @param file the file's descriptor
    /// @param offsetBytes the offset in the file
    /// @param prot rights, `LinuxAbi.PROT_...`
    record Target(int file, long offsetBytes, int prot) {
        /// The target of the same mapping `bytes` further on.
        Target plus(long bytes) {
            return new Target(file, offsetBytes + bytes, prot);
        }

        Target withProt(int other) {
            return new Target(file, offsetBytes, other);
        }
    }

    /// A part of a range and the target at its start.
    record Part(HvaRange range, Target target) {}

    VmaMap(HvaRange range, Target all) {
        this.range = range;
        pieces.put(range.startHva(), new Piece(range.endHva(), all));
    }

    /// The number of mappings.
    int count() {
        return pieces.size();
    }

    /// The mappings in a part of the range, cut to it.
    List<Part> partsOf(HvaRange part) {
        List<Part> parts = new ArrayList<>();
        Long first = pieces.floorKey(part.startHva());
        for (Map.Entry<Long, Piece> entry :
                pieces.subMap(first == null ? range.startHva() : first, part.endHva()).entrySet()) {
            long start = Math.max(entry.getKey(), part.startHva());
            long end = Math.min(entry.getValue().endHva, part.endHva());
            if (start < end) {
                parts.add(
                        new Part(
                                new HvaRange(start, end - start),
                                entry.getValue().target.plus(start - entry.getKey())));
            }
        }
        return parts;
    }

    /// The whole mappings that a part of the range overlaps, as one range.
    HvaRange widened(HvaRange part) {
        Map.Entry<Long, Piece> first = pieces.floorEntry(part.startHva());
        Map.Entry<Long, Piece> last = pieces.lowerEntry(part.endHva());
        long start = first == null ? part.startHva() : first.getKey();
        long end = last == null ? part.endHva() : last.getValue().endHva;
        return new HvaRange(start, end - start);
    }

    /// The first whole mappings from the one at an address on, as one range.
    ///
    /// @param count the maximum number of mappings
    HvaRange windowFrom(long hva, int count) {
        Long first = pieces.floorKey(hva);
        long start = first == null ? range.startHva() : first;
        long end =
                pieces.tailMap(start, true).values().stream()
                        .limit(count)
                        .mapToLong(Piece::endHva)
                        .max()
                        .orElse(range.endHva());
        return new HvaRange(start, end - start);
    }

    /// Records that a part of the range has another target now.
    ///
    /// @return the increase in the number of mappings
    int set(HvaRange part, Target target) {
        int before = pieces.size();
        cutAt(part.startHva());
        cutAt(part.endHva());
        pieces.subMap(part.startHva(), part.endHva()).clear();
        long start = part.startHva();
        long end = part.endHva();
        Target at = target;
        Map.Entry<Long, Piece> left = pieces.lowerEntry(start);
        if (left != null && left.getValue().target.plus(start - left.getKey()).equals(target)) {
            start = left.getKey();
            at = left.getValue().target;
        }
        Piece right = pieces.get(end);
        if (right != null && target.plus(end - part.startHva()).equals(right.target)) {
            pieces.remove(end);
            end = right.endHva;
        }
        pieces.put(start, new Piece(end, at));
        return pieces.size() - before;
    }

    private void cutAt(long hva) {
        Map.Entry<Long, Piece> entry = pieces.lowerEntry(hva);
        if (entry != null && entry.getValue().endHva > hva) {
            Piece piece = entry.getValue();
            pieces.put(entry.getKey(), new Piece(hva, piece.target));
            pieces.put(hva, new Piece(piece.endHva, piece.target.plus(hva - entry.getKey())));
        }
    }
}
