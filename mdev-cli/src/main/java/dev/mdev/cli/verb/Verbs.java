package dev.mdev.cli.verb;

import picocli.CommandLine;

/// All verbs.
public final class Verbs {
    private Verbs() {}

    /// Adds the verbs to the program.
    public static void addTo(CommandLine mdev, Session session) {
        mdev.addSubcommand("parents", ParentVerbs.parents(session))
                .addSubcommand(new TypeVerbs.Types(session))
                .addSubcommand(new ListVerbs.ListDevices(session))
                .addSubcommand(new ListVerbs.Show(session))
                .addSubcommand(new DeviceVerbs.Create(session))
                .addSubcommand(new DeviceVerbs.Delete(session))
                .addSubcommand(new DefinitionVerbs.Start(session))
                .addSubcommand(new DefinitionVerbs.Stop(session))
                .addSubcommand(new DefinitionVerbs.Define(session))
                .addSubcommand(new DefinitionVerbs.Undefine(session))
                .addSubcommand(new DefinitionVerbs.Modify(session))
                .addSubcommand(new DefinitionVerbs.Definitions(session))
                .addSubcommand(new DeviceVerbs.Adopt(session))
                .addSubcommand(new DeviceVerbs.Reset(session))
                .addSubcommand(new DeviceVerbs.Revoke(session))
                .addSubcommand("state", StateVerbs.state(session))
                .addSubcommand(new StateVerbs.Picture(session))
                .addSubcommand(new WatchVerbs.Faults(session))
                .addSubcommand(new WatchVerbs.Counters(session))
                .addSubcommand(new TypeVerbs.Explain(session))
                .addSubcommand(new TypeVerbs.Defragment(session))
                .addSubcommand("machines", MachineVerbs.machines(session))
                .addSubcommand(new MachineVerbs.Attach(session))
                .addSubcommand(new MachineVerbs.Detach(session))
                .addSubcommand(new MachineVerbs.ShowInterrupts(session))
                .addSubcommand(new RunVerbs.Run(session))
                .addSubcommand(new RunVerbs.Cancel(session))
                .addSubcommand(new WatchVerbs.Events(session))
                .addSubcommand(new WatchVerbs.Watch(session))
                .addSubcommand(new Top(session))
                .addSubcommand(new DoctorVerb(session))
                .addSubcommand(new ManualVerbs.Completion(session))
                .addSubcommand(new ManualVerbs.Man(session));
    }
}
