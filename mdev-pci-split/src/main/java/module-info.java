/// A parent driver that shares a real PCI function, as a YAML file describes it.
///
/// Read it in this order: `description.Description` (what a file says),
/// `description.DescriptionFile` (how it is read), `function.PciFunction` (the function in sysfs),
/// `function.FunctionCheck` (what must hold before it is shared), `PciSplitDriver`, `SplitParent`,
/// `SplitDevice`.
module dev.mdev.pcisplit {
    requires dev.mdev.api;
    requires org.yaml.snakeyaml;
    requires static com.google.errorprone.annotations;
    requires static org.jspecify;

    provides dev.mdev.api.ParentDriver with
            dev.mdev.pcisplit.PciSplitDriver;
}
