# Builds the host service and runs it with the `software` engine: no privileges, no devices.
#
#   docker build -t mdev-host .
#   docker run --rm -p 127.0.0.1:8080:8080 mdev-host
#
# The service has no authentication: publish its port to 127.0.0.1, or put something in front of it.

ARG BUILD_IMAGE=maven:3.9-eclipse-temurin-25
ARG RUNTIME_IMAGE=eclipse-temurin:25-jre

FROM ${BUILD_IMAGE} AS build
# For a build without a network: --build-arg MAVEN_FLAGS=-o
ARG MAVEN_FLAGS=""
WORKDIR /src
COPY . .
RUN mvn -B -ntp ${MAVEN_FLAGS} -DskipTests package \
    && mkdir /out \
    && cp host-service/target/host-service-*.jar /out/mdev-host.jar
# JNA's library on a path of its own: a container's /tmp often forbids to execute what it holds.
RUN mkdir /tmp/jna \
    && cd /tmp/jna \
    && jar xf /out/mdev-host.jar \
    && jar xf BOOT-INF/lib/jna-*.jar \
    && mv com/sun/jna/linux-$(uname -m | tr _ -)/libjnidispatch.so /out/

FROM ${RUNTIME_IMAGE}
WORKDIR /opt/mdev
COPY --from=build /out/mdev-host.jar /tmp/mdev-host.jar
# Unpacked, and with a cache of the classes that start-up loads, which shortens it. The cache is for
# exactly these options of the runtime, which the entry point has too.
RUN java -Djarmode=tools -jar /tmp/mdev-host.jar extract --destination /opt/mdev \
    && rm /tmp/mdev-host.jar \
    && mkdir drivers \
    && java -XX:AOTCacheOutput=mdev-host.aot -Dspring.context.exit=onRefresh \
        --enable-native-access=ALL-UNNAMED \
        -cp mdev-host.jar dev.mdev.host.MdevHostApplication
COPY --from=build /out/libjnidispatch.so /opt/mdev/native/
COPY docker-entrypoint.sh /opt/mdev/

ENV SERVER_ADDRESS=0.0.0.0
EXPOSE 8080
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /actuator/health/readiness HTTP/1.0\\r\\n\\r\\n' >&3 && grep -q '\"UP\"' <&3"]
ENTRYPOINT ["/opt/mdev/docker-entrypoint.sh"]
