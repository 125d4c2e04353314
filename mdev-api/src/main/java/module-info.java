/// What the author of a parent driver sees.
///
/// A *parent driver* splits one physical device into *mediated devices* that are given to virtual
/// machines. Start at [dev.mdev.api.ParentDriver]; the question that everything turns on is
/// [dev.mdev.api.MdevDevice#validateMapRequest].
module dev.mdev.api {
    requires static transitive org.jspecify;

    exports dev.mdev.api;
    exports dev.mdev.api.page;
    exports dev.mdev.api.register;

    uses dev.mdev.api.ParentDriver;
}
