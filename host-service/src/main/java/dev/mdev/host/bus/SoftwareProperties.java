package dev.mdev.host.bus;

import dev.mdev.core.engine.software.SoftwareOptions;
import dev.mdev.host.problem.Setting;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/// The machine that the engine `software` plays, where real ones differ.
///
/// @param twoDimensionalPaging whether the processor walks the guest's tables and the host's, as
///   with EPT or NPT; otherwise KVM combines the two ("shadow paging")
/// @param physicalAddressBits bits of a guest-physical address, 32 to 52: BARs lie below
@ConfigurationProperties("mdev.software")
public record SoftwareProperties(
        @DefaultValue("false") boolean twoDimensionalPaging,
        @DefaultValue("52") int physicalAddressBits) {
    private static final int LEAST_BITS = 32;
    private static final int MOST_BITS = 52;

    public SoftwareProperties {
        Setting.require(
                physicalAddressBits >= LEAST_BITS && physicalAddressBits <= MOST_BITS,
                "mdev.software.physical-address-bits",
                physicalAddressBits);
    }

    /// The options of the engine.
    SoftwareOptions options() {
        SoftwareOptions usual =
                SoftwareOptions.DEFAULT.withPhysicalAddressBits(physicalAddressBits);
        return twoDimensionalPaging ? usual.withTwoDimensionalPaging() : usual;
    }
}
