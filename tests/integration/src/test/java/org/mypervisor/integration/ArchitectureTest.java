package org.mypervisor.integration;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideOutsideOfPackages;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import java.util.Set;

/** The structure that the documentation promises. */
@AnalyzeClasses(packages = "org.mypervisor", importOptions = ImportOption.DoNotIncludeTests.class)
final class ArchitectureTest {
    private static final String VIRTQUEUE = "org.mypervisor.virtqueue..";
    private static final String VHOST_USER = "org.mypervisor.vhostuser..";
    private static final String OFFLOAD = "org.mypervisor.offload..";

    /** What a frame passes through; see "The way of a packet" in README.md. */
    private static final Set<String> PACKET_WAY = Set.of(
            "org.mypervisor.offload.Wire",
            "org.mypervisor.offload.Delivery",
            "org.mypervisor.offload.ReceiveBuffers",
            "org.mypervisor.offload.FrameCopy",
            "org.mypervisor.offload.rules.Headers",
            "org.mypervisor.virtqueue.SplitVirtqueue",
            "org.mypervisor.virtqueue.DescriptorChain",
            "org.mypervisor.virtqueue.VirtqDesc",
            "org.mypervisor.virtqueue.VirtqAvail",
            "org.mypervisor.virtqueue.VirtqUsed",
            "org.mypervisor.virtqueue.VirtioNetHdr",
            "org.mypervisor.virtqueue.RawMemory",
            "org.mypervisor.vhostuser.Vring");

    @ArchTest
    static final ArchRule virtqueueKnowsNothingOfSocketsOrPorts = noClasses()
            .that()
            .resideInAPackage(VIRTQUEUE)
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage(VHOST_USER, OFFLOAD, "jnr..", "org.apache..");

    @ArchTest
    static final ArchRule vhostUserKnowsNothingOfPortsAndPaths = noClasses()
            .that()
            .resideInAPackage(VHOST_USER)
            .should()
            .dependOnClassesThat()
            .resideInAPackage(OFFLOAD);

    @ArchTest
    static final ArchRule oneClassTouchesMemory = noClasses()
            .that(DescribedPredicate.not(named(Set.of("org.mypervisor.virtqueue.RawMemory")))
                    .and(resideInAnyPackage(VIRTQUEUE, VHOST_USER, OFFLOAD)))
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("net.openhft..", "sun.misc..");

    @ArchTest
    static final ArchRule thePacketWayNeitherLogsNorUsesCollections = noClasses()
            .that(named(PACKET_WAY))
            .should()
            .dependOnClassesThat(resideInAnyPackage("org.apache..", "java.util..", "java.io..", "java.nio..", "jnr..")
                    .and(resideOutsideOfPackages("java.util.function..")));

    @ArchTest
    static final ArchRule onlyTheCommandLineParsesArguments = noClasses()
            .that()
            .resideOutsideOfPackage("org.mypervisor.offload.cli..")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("picocli..");

    private static DescribedPredicate<JavaClass> named(final Set<String> names) {
        return new DescribedPredicate<>("are " + names) {
            @Override
            public boolean test(final JavaClass input) {
                return names.contains(input.getFullName());
            }
        };
    }
}
