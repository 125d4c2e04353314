# Builds the host service and runs it with the `software` engine: no privileges, no devices.
#
#   docker build -t mdev-host .
#   docker run --rm -p 127.0.0.1:8080:8080 mdev-host
#
# Publish its port to 127.0.0.1: nobody needs credentials, unless MDEV_ACCESS_AUTHENTICATION says so.

ARG BUILD_IMAGE=maven:3.9-eclipse-temurin-25
ARG RUNTIME_IMAGE=eclipse-temurin:25-jre

FROM ${BUILD_IMAGE} AS build
# For a build without a network: --build-arg MAVEN_FLAGS=-o
ARG MAVEN_FLAGS=""
WORKDIR /src
# What Maven downloads, in a layer of its own: only a changed pom.xml makes it again. The modules have
# no sources here, except one, so that the compiler fetches what it needs. The profile `fast` compiles
# without the checks of the gate.
COPY pom.xml ./
COPY mdev-gate mdev-gate/
COPY mdev-api/pom.xml mdev-api/
COPY mdev-testkit/pom.xml mdev-testkit/
COPY mdev-core/pom.xml mdev-core/
COPY gpu-sample-driver/pom.xml gpu-sample-driver/
COPY mdev-pci-split/pom.xml mdev-pci-split/
COPY mdev-vfio-user/pom.xml mdev-vfio-user/
COPY host-service/pom.xml host-service/
COPY mdev-cli/pom.xml mdev-cli/
COPY mdev-package/pom.xml mdev-package/
RUN mvn -B -ntp ${MAVEN_FLAGS} -Pfast -T2 -DskipTests -Dspring-boot.repackage.skip -pl host-service -am package \
    && rm -rf */target
COPY . .
RUN mvn -B -ntp ${MAVEN_FLAGS} -Pfast -T2 -DskipTests -pl host-service -am package \
    && mkdir /out \
    && cp host-service/target/fast/host-service-*.jar /out/mdev-host.jar
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
    && java -XX:+UseG1GC -XX:+UseCompactObjectHeaders -XX:AOTCacheOutput=mdev-host.aot -Dspring.context.exit=onRefresh \
        --enable-native-access=ALL-UNNAMED \
        -cp mdev-host.jar dev.mdev.host.MdevHostApplication
COPY --from=build /out/libjnidispatch.so /opt/mdev/native/
COPY docker-entrypoint.sh LICENSE /opt/mdev/
# A volume mounted here belongs to the service's user from its beginning.
RUN install -d -m 700 -o 10001 -g 10001 /state

ARG VERSION=0.1.0-SNAPSHOT
LABEL org.opencontainers.image.title="mdev-host" \
    org.opencontainers.image.description="Mediated devices in Java: one device for many virtual machines" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.licenses="Apache-2.0"

# All addresses of the container: those who publish the port decide who reaches it.
ENV SERVER_ADDRESS=0.0.0.0 MDEV_ACCESS_AUTHENTICATION=none
EXPOSE 8080
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /actuator/health/readiness HTTP/1.0\\r\\n\\r\\n' >&3 && grep -q '\"UP\"' <&3"]
ENTRYPOINT ["/opt/mdev/docker-entrypoint.sh"]
