package dev.mdev.gpu;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.ParentHost;

import java.util.List;

/// The operator's settings for this driver.
///
/// | setting | meaning | range | default |
/// |---|---|---|---|
/// | `count` | GPUs to make | 0 to 16 | 1 |
/// | `vram-mib` | VRAM of each GPU in MiB | 16 to 65536 | 256 |
/// | `types-mib` | VRAM of each type in MiB, separated by commas | 1 to 1024 each | 16,32,64,128 |
/// | `elastic-mib` | maximum VRAM of each elastic type in MiB, separated by commas; a quarter of it is guaranteed | 4 to 4096 each, multiples of 4 | 64 |
/// | `grant-pages` | the most pages that one fault maps | 1 to 262144 | 1 |
/// | `ahead-pages` | the most pages that the host may ask for at a fault, when faults come in order | 0 to 512 | 0 |
/// | `vga` | make the devices VGA displays, whose first 128 KiB of VRAM are also at 0xa0000 | true, false | false |
///
/// One page per fault is the slowest and plainest: every first access is visible.
record GpuSettings(
        int count,
        int vramMib,
        List<Integer> typesMib,
        List<Integer> elasticMib,
        int grantPages,
        int aheadPages,
        boolean vga) {

    static GpuSettings from(ParentHost host) {
        return new GpuSettings(
                host.number("count", 1, 0, 16),
                host.number("vram-mib", 256, 16, 65536),
                host.numbers("types-mib", "16,32,64,128", 1, 1024),
                elasticMib(host),
                host.number("grant-pages", 1, 1, 262_144),
                host.number("ahead-pages", 0, 0, 512),
                host.flag("vga"));
    }

    private static List<Integer> elasticMib(ParentHost host) {
        List<Integer> sizes = host.numbers("elastic-mib", "64", 4, 4096);
        for (int mib : sizes) {
            if (mib % GpuParent.ELASTICITY != 0) {
                throw new MdevException(
                        Errno.EINVAL, "elastic-mib=%d is no multiple of 4".formatted(mib));
            }
        }
        return sizes;
    }

    /// The guaranteed VRAM of the smallest type.
    int leastMib() {
        return Math.min(typesMib.getFirst(), elasticMib.getFirst() / GpuParent.ELASTICITY);
    }
}
