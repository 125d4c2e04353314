/// The interface for authors of parent drivers.
///
/// A *parent driver* splits one physical device into *mediated devices*, which the host assigns to
/// virtual machines. Start at [dev.mdev.api.ParentDriver]; the central method is
/// [dev.mdev.api.MdevDevice#validateMapRequest].
module dev.mdev.api {
    requires static transitive org.jspecify;

    exports dev.mdev.api;
    exports dev.mdev.api.layout;
    exports dev.mdev.api.page;
    exports dev.mdev.api.register;

    uses dev.mdev.api.ParentDriver;
}
