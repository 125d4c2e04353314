package dev.mdev.host.metric;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.EventType;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import jdk.jfr.Timespan;

/// A fault, in a recording of the JDK's Flight Recorder.
@Name("dev.mdev.Fault")
@Label("Fault")
@Category("mdev")
@Description("A guest's access to a page of a device was answered")
@StackTrace(false)
final class FaultEvent extends Event {
    static final EventType TYPE = EventType.getEventType(FaultEvent.class);

    @Label("Device")
    String uuid = "";

    @Label("Parent")
    String parent = "";

    @Label("Region")
    int region;

    @Label("Page")
    @Description("Counted from the region's start")
    long page;

    @Label("Access")
    String access = "";

    @Label("Reason")
    @Description("Why there was no mapping")
    String reason = "";

    @Label("Outcome")
    String outcome = "";

    @Label("Answer")
    @Description("The driver's answer, or why the host refused it")
    String answer = "";

    @Label("Driver Time")
    @Description("The duration of the driver's callback")
    @Timespan(Timespan.NANOSECONDS)
    long driverTime;
}
