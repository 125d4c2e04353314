package dev.mdev.core.hostmm;

import dev.mdev.api.Aperture;
import dev.mdev.api.page.Caching;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/// Blocks with neighbouring pfns, as one aperture: the memory of a device that is in several files.
/// Any thread may call all methods.
public final class JoinedBlocks implements Aperture {
    private final List<HostMemory.Block> blocks;
    private final PfnRange pfns;

    /// @param blocks at least one; each begins where the one before it ends
    public JoinedBlocks(List<HostMemory.Block> blocks) {
        this.blocks = List.copyOf(blocks);
        long first = blocks.getFirst().pfns().firstPfn();
        this.pfns = new PfnRange(first, blocks.getLast().pfns().endPfn() - first);
    }

    public List<HostMemory.Block> blocks() {
        return blocks;
    }

    @Override
    public PfnRange pfns() {
        return pfns;
    }

    @Override
    public Optional<Caching> cachingOf(PfnRange range) {
        List<Caching> types =
                blocks.stream()
                        .filter(block ->
                                block.pfns().firstPfn() < range.endPfn()
                                        && range.firstPfn() < block.pfns().endPfn())
                        .map(block -> block.backing().caching())
                        .distinct()
                        .toList();
        return types.size() == 1 ? Optional.of(types.getFirst()) : Optional.empty();
    }

    private interface Piece {
        void accept(HostMemory.Block block, long inBlock, long done, long length);
    }

    @Override
    public void read(long offsetBytes, MemorySegment destination) {
        forEachPiece(
                offsetBytes,
                destination.byteSize(),
                (block, inBlock, done, length) ->
                        block.read(inBlock, destination.asSlice(done, length)));
    }

    @Override
    public void write(long offsetBytes, MemorySegment source) {
        forEachPiece(
                offsetBytes,
                source.byteSize(),
                (block, inBlock, done, length) ->
                        block.write(inBlock, source.asSlice(done, length)));
    }

    @Override
    public void fill(long offsetBytes, long lengthBytes, byte value) {
        forEachPiece(
                offsetBytes,
                lengthBytes,
                (block, inBlock, _, length) -> block.fill(inBlock, length, value));
    }

    private void forEachPiece(long offsetBytes, long lengthBytes, Piece piece) {
        Objects.checkFromIndexSize(offsetBytes, lengthBytes, Page.bytesOf(pfns.npages()));
        long done = 0;
        for (HostMemory.Block block : blocks) {
            long sizeBytes = Page.bytesOf(block.pfns().npages());
            long inBlock = offsetBytes + done - offsetOf(block.pfns().firstPfn());
            if (done < lengthBytes && inBlock < sizeBytes) {
                long length = Math.min(lengthBytes - done, sizeBytes - inBlock);
                piece.accept(block, inBlock, done, length);
                done += length;
            }
        }
    }
}
