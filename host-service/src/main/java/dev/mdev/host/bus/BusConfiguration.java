package dev.mdev.host.bus;

import dev.mdev.api.ParentDriver;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.engine.Engine;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.kernelbus.KernelBusDriver;
import dev.mdev.core.loader.DriverLoader;
import dev.mdev.core.store.DirectoryFiles;
import dev.mdev.core.store.MemoryFiles;
import dev.mdev.core.store.StateFiles;

import org.springframework.beans.factory.ObjectProvider;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.DependsOn;

/// The core's objects as beans. Spring closes them in the reverse order: machines, bus, memory.
@Configuration(proxyBeanMethods = false)
class BusConfiguration {
    @Bean
    HostMemory hostMemory(Engines engines, BusProperties properties) {
        // The pages of a device may be in a file of its BARs, which another process maps.
        return HostMemory.withHomes(engines.memory(), properties.maxMemory().toBytes());
    }

    @Bean
    Engine engine(Engines engines) {
        return engines.engine();
    }

    /// The bus closes them.
    @Bean(destroyMethod = "")
    StateFiles stateFiles(BusProperties properties) {
        return properties.stateDir() == null
                ? new MemoryFiles()
                : new DirectoryFiles(properties.stateDir());
    }

    @Bean
    ParentDriver kernelBus() {
        return new KernelBusDriver();
    }

    @Bean
    DriverLoader plugins(BusProperties properties) {
        return new DriverLoader(
                properties.pluginDir(),
                BusConfiguration.class.getClassLoader(),
                properties.driverDeadline());
    }

    /// Depends on the plugins so that it is closed before their jars are.
    @Bean
    @DependsOn("plugins")
    MdevBus mdevBus(
            HostMemory memory,
            StateFiles files,
            BusProperties properties,
            ObjectProvider<MdevObserver> observers) {
        return new MdevBus(
                memory,
                files,
                properties.options(new Observers(observers.orderedStream().toList())));
    }
}
