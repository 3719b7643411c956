package org.mypervisor.integration;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The structure that the documentation promises. */
@AnalyzeClasses(packages = "org.mypervisor", importOptions = ImportOption.DoNotIncludeTests.class)
final class ArchitectureTest {
    private static final String VIRTQUEUE = "org.mypervisor.virtqueue..";
    private static final String VHOST_USER = "org.mypervisor.vhostuser..";
    private static final String OFFLOAD = "org.mypervisor.offload..";
    private static final String COST = "org.mypervisor.offload.cost..";

    private static final Pattern VIRTQUEUE_RING_OR_LAYOUT =
            Pattern.compile("org\\.mypervisor\\.virtqueue\\.(\\w+(Virtqueue|Descriptors|Desc|Event)|Virtq\\w+)");

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

    /** So whoever makes or reads a model needs none of the back-end's libraries. */
    @ArchTest
    static final ArchRule theCostModelKnowsNothingOfPortsAndRings = noClasses()
            .that()
            .resideInAPackage(COST)
            .should()
            .dependOnClassesThat(
                    DescribedPredicate.not(resideInAPackage(COST)).and(resideInAPackage("org.mypervisor..")));

    @ArchTest
    static final ArchRule oneClassTouchesMemory = noClasses()
            .that(DescribedPredicate.not(named(Set.of("org.mypervisor.virtqueue.RawMemory")))
                    .and(resideInAnyPackage(VIRTQUEUE, VHOST_USER, OFFLOAD)))
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage("net.openhft..", "sun.misc..");

    /** A method that is renamed would silently be inlined again. */
    @ArchTest
    static void theLauncherNamesMethodsThatExist(final JavaClasses classes) throws IOException {
        final Matcher named = Pattern.compile("dontinline,([\\w.]+)::(\\w+)")
                .matcher(Files.readString(Path.of("../../middlebox-offload/src/main/dist/bin/mypervisor")));
        assertTrue(named.find());
        do {
            final String method = named.group(2);
            assertTrue(
                    classes.get(named.group(1)).getMethods().stream()
                            .anyMatch(each -> each.getName().equals(method)),
                    method);
        } while (named.find());
    }

    /** All that can be called from where a worker gives a wire its turn, and before and after it sleeps. */
    @ArchTest
    static void thePacketWayNeitherAllocatesNorLogsNorUsesCollections(final JavaClasses classes) {
        final PacketWay way = new PacketWay(classes, "org.mypervisor.offload.Wire");
        way.from("forward", long.class)
                .from("enableKicks")
                .from("suppressKicks")
                .from("isWaiting");
        way.mustPass(
                "org.mypervisor.offload.Wire",
                "org.mypervisor.offload.WireEnds",
                "org.mypervisor.offload.Patience",
                "org.mypervisor.offload.Burst",
                "org.mypervisor.offload.LoadAhead",
                "org.mypervisor.offload.Port",
                "org.mypervisor.offload.Packet",
                "org.mypervisor.offload.Delivery",
                "org.mypervisor.offload.ReceiveBuffers",
                "org.mypervisor.offload.FrameCopy",
                "org.mypervisor.offload.Counter",
                "org.mypervisor.offload.FilterElement",
                "org.mypervisor.offload.CountElement",
                "org.mypervisor.offload.rules.Headers",
                "org.mypervisor.offload.rules.RuleSet",
                "org.mypervisor.offload.rules.RuleLookup",
                "org.mypervisor.offload.rules.Keys",
                "org.mypervisor.offload.rules.Classifier",
                "org.mypervisor.offload.rules.Node",
                "org.mypervisor.offload.rules.Rows",
                "org.mypervisor.offload.rules.PortLists",
                "org.mypervisor.offload.rules.EtherTypes",
                "org.mypervisor.vhostuser.Vring",
                "org.mypervisor.vhostuser.EventFd",
                "org.mypervisor.offload.host.GatherQueue",
                "org.mypervisor.offload.host.PacketRing",
                "org.mypervisor.offload.host.PacketSender",
                "org.mypervisor.offload.host.TapReader",
                "org.mypervisor.offload.host.TapWriter",
                "org.mypervisor.offload.host.XdpReceiver",
                "org.mypervisor.offload.host.XdpRing",
                "org.mypervisor.offload.host.XdpSender",
                "org.mypervisor.offload.capture.ReplayQueue",
                "org.mypervisor.offload.capture.TimerFd",
                "org.mypervisor.offload.capture.CaptureQueue",
                "org.mypervisor.offload.capture.CaptureFormat",
                "org.mypervisor.offload.capture.RecordRing",
                "org.mypervisor.offload.capture.FrameRecord",
                "org.mypervisor.offload.capture.NullQueue",
                "org.mypervisor.virtqueue.DescriptorChain",
                "org.mypervisor.virtqueue.GuestMemory",
                "org.mypervisor.virtqueue.VirtioNetHdr",
                "org.mypervisor.virtqueue.RawMemory");
        // Every kind of ring, and every layout in guest memory that it has.
        way.mustPassAll(VIRTQUEUE_RING_OR_LAYOUT);
        assertEquals(List.of(), way.offences());
        // Called through an interface that only a method reference implements.
        final PacketWay losses = new PacketWay(classes, "org.mypervisor.offload.InterfacePort");
        losses.from("countLoss", int.class, boolean.class, boolean.class);
        losses.mustPass("org.mypervisor.offload.Counter");
        assertEquals(List.of(), losses.offences());
    }

    /** The table has the numbers (its field is private), and one class asks it. */
    @ArchTest
    static final ArchRule onePlaceTurnsNumbersIntoMessages = noClasses()
            .that(DescribedPredicate.not(named(Set.of("org.mypervisor.vhostuser.BackendSession"))))
            .should()
            .callMethod("org.mypervisor.vhostuser.FrontendRequest", "of", "int");

    /** Rings ask what was negotiated; which masks are offered is decided in one class. */
    @ArchTest
    static final ArchRule onePlaceDecidesTheOffer = noClasses()
            .that(resideInAnyPackage(VHOST_USER, OFFLOAD)
                    .and(DescribedPredicate.not(named(Set.of("org.mypervisor.vhostuser.FeatureNegotiation")))))
            .should()
            .callMethod("org.mypervisor.virtqueue.VirtioFeatures", "bit", "int");

    /** The classes that rules name are there: a rule about nothing would hold for ever. */
    @ArchTest
    static void namedClassesExist(final JavaClasses classes) {
        for (final String name : List.of(
                "org.mypervisor.virtqueue.RawMemory",
                "org.mypervisor.vhostuser.BackendSession",
                "org.mypervisor.vhostuser.FrontendRequest",
                "org.mypervisor.vhostuser.FeatureNegotiation")) {
            assertTrue(classes.contain(name), name);
        }
    }

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
