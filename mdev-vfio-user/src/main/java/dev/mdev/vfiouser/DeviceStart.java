package dev.mdev.vfiouser;

import dev.mdev.core.device.MdevAssignment;

import org.jspecify.annotations.Nullable;

/// Gives a session its device.
final class DeviceStart implements Session.Start {
    private final MdevAssignment assignment;
    private final ClientDevice.Host host;
    private final DeviceStates states;
    private @Nullable DmaMessages messages;

    DeviceStart(MdevAssignment assignment, ClientDevice.Host host, DeviceStates states) {
        this.assignment = assignment;
        this.host = host;
        this.states = states;
    }

    @Override
    public ClientDevice device(Channel channel) {
        SessionOptions options = host.options();
        DmaMessages made = new DmaMessages(channel, Thread.currentThread(), options.dmaTimeout());
        messages = made;
        ClientMemory guest =
                new ClientMemory(
                        host.sys(),
                        options.limits(),
                        new UnmappedMemory(host.sys(), made),
                        options.accessTimeout());
        try {
            return new ClientDevice(assignment, guest, host);
        } catch (RuntimeException | Error e) {
            guest.close();
            assignment.close();
            throw e;
        }
    }

    @Override
    public Handlers handlers(ClientDevice device, Version version) {
        DmaMessages made = messages;
        if (made == null) {
            throw new IllegalStateException("no device yet");
        }
        Migration migration = new Migration(assignment.mdev(), states);
        return new Handlers(device, made, migration, version, host.sys());
    }

    @Override
    public void close() {
        DmaMessages made = messages;
        if (made != null) {
            made.close();
        }
    }
}
