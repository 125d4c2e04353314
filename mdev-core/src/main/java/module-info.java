/// The machinery of mediated devices: memory slots, host mm, MMU, engines and the device bus.
///
/// Read the packages in this order: `addr`, `memslot`, `dirty`, `guestmem`, `hostmm`, `mmu`,
/// `engine`, `driver`, `mapping`, `pci`, `device`, `bus`, `vm`.
module dev.mdev.core {
    requires transitive dev.mdev.api;
    requires com.sun.jna;
    requires static com.google.errorprone.annotations;
    requires static transitive org.jspecify;

    exports dev.mdev.core.addr;
    exports dev.mdev.core.bus;
    exports dev.mdev.core.capacity;
    exports dev.mdev.core.device;
    exports dev.mdev.core.dirty;
    exports dev.mdev.core.dma;
    exports dev.mdev.core.driver;
    exports dev.mdev.core.elastic;
    exports dev.mdev.core.engine;
    exports dev.mdev.core.engine.barfile;
    exports dev.mdev.core.engine.kvm;
    exports dev.mdev.core.engine.kvm.mm;
    exports dev.mdev.core.engine.software;
    exports dev.mdev.core.guestmem;
    exports dev.mdev.core.hostmm;
    exports dev.mdev.core.kernelbus;
    exports dev.mdev.core.ledger;
    exports dev.mdev.core.loader;
    exports dev.mdev.core.machinestate;
    exports dev.mdev.core.mapping;
    exports dev.mdev.core.memslot;
    exports dev.mdev.core.pci;
    exports dev.mdev.core.store;
    exports dev.mdev.core.sync;
    exports dev.mdev.core.sys;
    exports dev.mdev.core.vm;

    uses dev.mdev.api.ParentDriver;
}
