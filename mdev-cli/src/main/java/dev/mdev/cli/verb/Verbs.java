package dev.mdev.cli.verb;

import picocli.CommandLine;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/// All verbs.
public final class Verbs {
    private Verbs() {}

    /// Adds verbs to the program: those whose names are among the arguments, because no other can
    /// be meant; all, if there is none. Describing a verb to picocli takes time, and there are
    /// many.
    public static void addTo(CommandLine mdev, Session session, List<String> arguments) {
        Map<String, Supplier<CommandLine>> all = all(session);
        boolean needsAll =
                arguments.stream().noneMatch(all::containsKey)
                        || arguments.contains(ManualVerbs.COMPLETION)
                        || arguments.contains(ManualVerbs.MAN);
        all.forEach((name, verb) -> {
            if (needsAll || arguments.contains(name)) {
                mdev.addSubcommand(name, verb.get());
            }
        });
    }

    private static Map<String, Supplier<CommandLine>> all(Session session) {
        Map<String, Supplier<CommandLine>> all = new LinkedHashMap<>();
        all.put("parents", () -> ParentVerbs.parents(session));
        all.put("drivers", () -> DriverVerbs.drivers(session));
        all.put("types", () -> new CommandLine(new TypeVerbs.Types(session)));
        all.put("list", () -> new CommandLine(new ListVerbs.ListDevices(session)));
        all.put("show", () -> new CommandLine(new ListVerbs.Show(session)));
        all.put("create", () -> new CommandLine(new DeviceVerbs.Create(session)));
        all.put("delete", () -> new CommandLine(new DeviceVerbs.Delete(session)));
        all.put("start", () -> new CommandLine(new DefinitionVerbs.Start(session)));
        all.put("stop", () -> new CommandLine(new DefinitionVerbs.Stop(session)));
        all.put("define", () -> new CommandLine(new DefinitionVerbs.Define(session)));
        all.put("undefine", () -> new CommandLine(new DefinitionVerbs.Undefine(session)));
        all.put("modify", () -> new CommandLine(new DefinitionVerbs.Modify(session)));
        all.put("definitions", () -> new CommandLine(new DefinitionVerbs.Definitions(session)));
        all.put("import", () -> new CommandLine(new MdevctlVerbs.Import(session)));
        all.put("export", () -> new CommandLine(new MdevctlVerbs.Export(session)));
        all.put("label", () -> new CommandLine(new LabelVerbs.Label(session)));
        all.put("apply", () -> new CommandLine(new DesiredVerbs.Apply(session)));
        all.put("plan", () -> new CommandLine(new DesiredVerbs.Plan(session)));
        all.put("assert", () -> new CommandLine(new DesiredVerbs.Assert(session)));
        all.put("adopt", () -> new CommandLine(new DeviceVerbs.Adopt(session)));
        all.put("reset", () -> new CommandLine(new DeviceVerbs.Reset(session)));
        all.put("revoke", () -> new CommandLine(new DeviceVerbs.Revoke(session)));
        all.put("state", () -> StateVerbs.state(session));
        all.put("picture", () -> new CommandLine(new StateVerbs.Picture(session)));
        all.put("faults", () -> new CommandLine(new WatchVerbs.Faults(session)));
        all.put("counters", () -> new CommandLine(new WatchVerbs.Counters(session)));
        all.put("explain", () -> new CommandLine(new TypeVerbs.Explain(session)));
        all.put("defragment", () -> new CommandLine(new TypeVerbs.Defragment(session)));
        all.put("machines", () -> MachineVerbs.machines(session));
        all.put("qemu", () -> new CommandLine(new MachineVerbs.Qemu(session)));
        all.put("attach", () -> new CommandLine(new MachineVerbs.Attach(session)));
        all.put("detach", () -> new CommandLine(new MachineVerbs.Detach(session)));
        all.put("interrupts", () -> new CommandLine(new MachineVerbs.ShowInterrupts(session)));
        all.put("dirty-log", () -> DirtyLogVerbs.dirtyLog(session));
        all.put("run", () -> new CommandLine(new RunVerbs.Run(session)));
        all.put("cancel", () -> new CommandLine(new RunVerbs.Cancel(session)));
        all.put("tokens", () -> TokenVerbs.tokens(session));
        all.put("audit", () -> AuditVerbs.audit(session));
        all.put("operations", () -> OperationVerbs.operations(session));
        all.put("events", () -> new CommandLine(new WatchVerbs.Events(session)));
        all.put("watch", () -> new CommandLine(new WatchVerbs.Watch(session)));
        all.put("top", () -> new CommandLine(new Top(session)));
        all.put("doctor", () -> new CommandLine(new DoctorVerb(session)));
        all.put(ManualVerbs.COMPLETION, () -> new CommandLine(new ManualVerbs.Completion(session)));
        all.put(ManualVerbs.MAN, () -> new CommandLine(new ManualVerbs.Man(session)));
        return all;
    }
}
