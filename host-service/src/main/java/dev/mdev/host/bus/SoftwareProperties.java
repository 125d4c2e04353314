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
/// @param pageModificationLogging whether the processor logs the pages that it writes by itself
///   (PML), and fills a dirty ring with up to 512 of them at a time
/// @param zapAllOnRemoval whether a slot that is deleted or moved drops the mappings of all slots
///   (`KVM_X86_QUIRK_SLOT_ZAP_ALL`)
/// @param ringDefects whether dirty rings lose the writes that Linux loses
@ConfigurationProperties("mdev.software")
public record SoftwareProperties(
        @DefaultValue("false") boolean twoDimensionalPaging,
        @DefaultValue("52") int physicalAddressBits,
        @DefaultValue("false") boolean pageModificationLogging,
        @DefaultValue("true") boolean zapAllOnRemoval,
        @DefaultValue("false") boolean ringDefects) {
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
        SoftwareOptions played =
                SoftwareOptions.DEFAULT.withPhysicalAddressBits(physicalAddressBits);
        if (twoDimensionalPaging) {
            played = played.withTwoDimensionalPaging();
        }
        if (pageModificationLogging) {
            played = played.withPageModificationLogging();
        }
        if (!zapAllOnRemoval) {
            played = played.withoutZapAll();
        }
        return ringDefects ? played.withRingDefects() : played;
    }
}
