package dev.mdev.host.bus;

import dev.mdev.core.device.MdevBus;
import dev.mdev.core.device.MdevObserver;
import dev.mdev.core.engine.Engine;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;

import org.springframework.beans.factory.ObjectProvider;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/// The core's objects as beans. Spring closes them in the reverse order: machines, bus, memory.
@Configuration(proxyBeanMethods = false)
class BusConfiguration {
    @Bean
    HostMemory hostMemory() {
        return new HostMemory(new OffHeapBackend());
    }

    @Bean
    Engine engine(Engines engines, BusProperties properties) {
        return engines.require(properties.engine());
    }

    @Bean
    MdevBus mdevBus(
            HostMemory memory, BusProperties properties, ObjectProvider<MdevObserver> observers) {
        return new MdevBus(
                memory,
                properties.driverDeadline(),
                new Observers(observers.orderedStream().toList()));
    }
}
