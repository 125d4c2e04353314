package dev.mdev.core.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.EngineContract;
import dev.mdev.core.engine.kvm.mm.MemfdMemory;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.vm.ProgramResult;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

@RealKvm
class KvmEngineTest extends EngineContract {
    @Override
    protected Engine engine() {
        return new KvmEngine(DEADLINE);
    }

    @Override
    protected HostMemory newMemory() {
        return new HostMemory(new MemfdMemory());
    }

    /// The fault is answered on another thread, so the processor is free at once.
    @Override
    protected void assertHungProgramEnds(CompletableFuture<ProgramResult> hung) throws Exception {
        assertThat(hung.get(DEADLINE.toSeconds(), TimeUnit.SECONDS).end())
                .isEqualTo(ProgramResult.End.INTERRUPTED);
    }
}
