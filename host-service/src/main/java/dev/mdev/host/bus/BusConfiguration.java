package dev.mdev.host.bus;

import dev.mdev.core.device.MdevBus;
import dev.mdev.core.device.MdevObserver;
import dev.mdev.core.engine.Engine;
import dev.mdev.core.hostmm.HostMemory;

import org.springframework.beans.factory.ObjectProvider;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/// The core's objects as beans. Spring closes them in the reverse order: machines, bus, memory.
@Configuration(proxyBeanMethods = false)
class BusConfiguration {
    @Bean
    HostMemory hostMemory(Engines engines) {
        return new HostMemory(engines.memory());
    }

    @Bean
    Engine engine(Engines engines) {
        return engines.engine();
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
