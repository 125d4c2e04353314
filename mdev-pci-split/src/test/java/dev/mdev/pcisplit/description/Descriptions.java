package dev.mdev.pcisplit.description;

import java.nio.charset.StandardCharsets;

/// Descriptions for tests.
public final class Descriptions {
    /// A function with 16 MiB of memory in BAR 1, and registers in BAR 0 with doorbells from 64 KiB
    /// on.
    public static final String CARD =
            """
            function: "0000:65:00.0"
            name: card0
            description: A card for tests
            expect: {vendor: 0x10de, device: 0x2330}
            pools:
              vram: {bar: 1, offset: 1MiB, size: 12MiB, write-combining: true}
              doorbells: {bar: 0, offset: 0x10000, size: 32KiB, content: registers}
            types:
              small:
                name: A small part
                demands:
                  vram: {size: 1MiB, step: 64KiB}
                  doorbells: {size: 4KiB}
                identity: {device: 0x1234, class: 0x038000}
                bars:
                  0:
                    name: vram
                    size: 2MiB
                    areas:
                      - {pool: vram, ahead: 16}
                  2:
                    name: control
                    size: 16KiB
                    areas:
                      - {pool: doorbells}
                      - at: 4KiB
                        values: {0x0: 0x11223344, 0x10: 7}
                      - at: 8KiB
                        registers: {bar: 0, offset: 0x1000}
                        allow:
                          - {offset: 0x10, write: 0xff, reset: 0}
                          - {offset: 0x14, read: 0xffff0000}
                          - {offset: 0x20, width: 2, write: 0xffff, reset: 5}
                reset:
                  write:
                    - {bar: 0, offset: 0x2040, value: 1}
                interrupts:
                  - {status: {bar: 0, offset: 0x3000}, bits: 0x3}
              large:
                demands:
                  vram: {size: 4MiB, contiguous: true}
                bars:
                  0: {areas: [{pool: vram, map: eager}]}
            """;

    private Descriptions() {}

    /// Reads a text.
    ///
    /// @throws dev.mdev.api.MdevException EINVAL with all mistakes
    public static Description parse(String text) {
        return DescriptionFile.parse("card.yaml", text.getBytes(StandardCharsets.UTF_8));
    }
}
