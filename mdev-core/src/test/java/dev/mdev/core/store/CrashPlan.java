package dev.mdev.core.store;

/// Ends a simulated process at a chosen step. Everything with an effect outside the process (files,
/// devices, memory that outlives it) passes [#step] before and after the effect; from the crash on,
/// each of them throws and does nothing, as if the process were gone.
public final class CrashPlan {
    private int stepsLeft;
    private int steps;
    private boolean armed;
    private boolean crashed;

    /// What a step of a process that is gone throws. An error, so that nothing handles it.
    public static final class SimulatedCrash extends Error {
        private static final long serialVersionUID = 1L;

        SimulatedCrash() {
            super("simulated crash", null, false, false);
        }
    }

    /// Lets the process die at the step after the next `stepsToDo` ones.
    public synchronized void crashAfter(int stepsToDo) {
        armed = true;
        stepsLeft = stepsToDo;
        steps = 0;
    }

    /// Lets the process live.
    public synchronized void disarm() {
        armed = false;
    }

    /// Does something that may end the process. Exceptions of a process that has ended are dropped.
    ///
    /// @return whether the process lives
    public boolean survives(Runnable work) {
        try {
            work.run();
        } catch (RuntimeException | Error e) {
            if (!hasCrashed()) {
                throw e;
            }
        }
        return !hasCrashed();
    }

    /// A step; each is a place to die.
    public synchronized void step() {
        if (crashed) {
            throw new SimulatedCrash();
        }
        steps++;
        if (armed && stepsLeft-- == 0) {
            crashed = true;
            throw new SimulatedCrash();
        }
    }

    /// Whether the process died.
    public synchronized boolean hasCrashed() {
        return crashed;
    }

    /// Steps since the plan was armed.
    public synchronized int steps() {
        return steps;
    }
}
