/// Mediated devices for the virtual machines of other programs: the server side of vfio-user.
///
/// Read it in this order: `DeviceSocket` (a device on a socket), `Session` (one connection),
/// `Channel` (its messages), then what the messages reach: `ClientDevice`, `RegionAccessor`,
/// `ClientMemory`, `ClientInterrupts`.
module dev.mdev.vfiouser {
    requires transitive dev.mdev.core;
    requires static com.google.errorprone.annotations;
    requires static transitive org.jspecify;

    exports dev.mdev.vfiouser;
}
