package org.mypervisor.integration;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What becomes of a port when its interface goes down, vanishes and comes back, and what of the interface when the back-end
 * ends. A path from port "t", in the back-end's own namespace, to "r", behind which is another one.
 */
@Timeout(120)
final class InterfaceLifeIT {
    private static final String NEAR = "10.88.1.1";
    private static final String FAR = "10.88.1.2";
    private static final String TAP = "id=t,type=tap,ifname=tee";
    private static final String PACKET = "id=t,type=af_packet,ifname=tee";
    private static final String XDP = "id=t,type=af_xdp,ifname=tee";

    private static final int FLOWS = 64;
    private static final int DATAGRAMS = 300;

    /** More than the queue of an af_xdp port holds. */
    private static final int FLOOD = 5000;

    private static final int UDP_PORT = 7000;

    @TempDir
    private Path folder;

    private NetNamespace hub;
    private NetNamespace near;
    private NetNamespace far;
    private BackendProcess backend;

    @BeforeEach
    void makeNamespaces() {
        final String missing = NetNamespace.missing();
        assumeTrue(missing == null, missing);
        hub = new NetNamespace();
        near = new NetNamespace();
        far = new NetNamespace();
        hub.addVeth("r", "eth0", far);
        far.setUp("eth0", FAR);
    }

    @AfterEach
    void end() {
        if (backend != null) {
            backend.close();
        }
        if (hub != null) {
            hub.close();
            near.close();
            far.close();
        }
    }

    private void start(final String port) throws IOException, InterruptedException {
        backend = BackendProcess.start(
                hub, folder, "--port", port, "--port", "id=r,type=af_packet,ifname=r", "--path", "t <-> r");
        backend.awaitControl();
        await("r", "up");
    }

    private void await(final String port, final String state) throws InterruptedException {
        Waiting.until(
                port + " is " + state,
                Duration.ofSeconds(5),
                () -> backend.port(port).get("state").asText().equals(state));
    }

    /** Makes the interface of an af_packet or af_xdp port, and its other end. */
    private void addVeth() {
        addVeth("");
    }

    /** @param options of either end, as {@code ip link add} takes them, each behind a blank */
    private void addVeth(final String options) {
        hub.ip("link add name tee%s type veth peer name eth0%s netns %s".formatted(options, options, near.name()));
        hub.ip("link set tee up");
        near.sendCompleteFrames("eth0");
        near.setUp("eth0", NEAR);
    }

    /** From whatever namespace is on this side. */
    private static void reach(final NetNamespace from) throws InterruptedException {
        Waiting.until(
                "an answer",
                Duration.ofSeconds(10),
                () -> from.run("ping", "-q", "-c1", "-W0.3", FAR).status() == 0);
        from.flood(FAR, 200, 56);
    }

    private long logged(final String text) throws IOException {
        return backend.log().lines().filter(line -> line.contains(text)).count();
    }

    @ParameterizedTest
    @CsvSource({"af_packet, tee", "af_packet, eth0", "af_xdp, tee", "af_xdp, eth0"})
    void shouldStandStillWhileAVethIsDownAtEitherEnd(final String type, final String device)
            throws IOException, InterruptedException {
        addVeth();
        start("id=t,ifname=tee,type=" + type);
        await("t", "up");
        reach(near);
        final NetNamespace namespace = device.equals("tee") ? hub : near;
        for (int i = 1; i <= 2; i++) {
            namespace.ip("link set " + device + " down");
            await("t", "down");
            far.run("ping", "-q", "-c2", "-i0.2", "-W0.2", NEAR);
            namespace.ip("link set " + device + " up");
            await("t", "up");
            reach(near);
            assertEquals(i, logged("port t is down: interface tee is"));
            assertEquals(i + 1, logged("port t is up: interface tee"));
        }
        backend.checkNoFaults();
    }

    @Test
    void shouldStandStillWhileATapIsDown() throws IOException, InterruptedException {
        start(TAP);
        await("t", "up");
        hub.setUp("tee", NEAR);
        reach(hub);
        for (int i = 0; i < 2; i++) {
            hub.ip("link set tee down");
            await("t", "down");
            far.run("ping", "-q", "-c2", "-i0.2", "-W0.2", NEAR);
            hub.ip("link set tee up");
            await("t", "up");
            reach(hub);
        }
        assertTrue(backend.port("t").get("drops").get("down").asLong() > 0, "frames towards a tap that is down");
        backend.checkNoFaults();
    }

    /** An interface that is down when we start is no mistake. */
    @ParameterizedTest
    @ValueSource(strings = {"af_packet", "af_xdp", "tap"})
    void shouldBeginWhenItsInterfaceIsSetUp(final String type) throws IOException, InterruptedException {
        if (type.equals("tap")) {
            hub.ip("tuntap add tee mode tap");
        } else {
            addVeth();
            hub.ip("link set tee down");
        }
        start("id=t,type=" + type + ",ifname=tee");
        await("t", "down");
        if (type.equals("tap")) {
            hub.setUp("tee", NEAR);
        } else {
            hub.ip("link set tee up");
        }
        await("t", "up");
        reach(type.equals("tap") ? hub : near);
    }

    @ParameterizedTest
    @ValueSource(strings = {PACKET, XDP})
    void shouldGoOnWithAVethThatIsMadeAnew(final String port) throws IOException, InterruptedException {
        addVeth();
        start(port);
        await("t", "up");
        reach(near);
        for (int i = 1; i <= 2; i++) {
            if (i == 2) {
                // As every interface is for a moment before it goes; whoever looks then has to tell both.
                hub.ip("link set tee down");
                await("t", "down");
            }
            hub.ip("link del tee");
            await("t", "down");
            // Some looks for it later there still is one line only.
            Thread.sleep(1500);
            assertEquals(i, logged("interface tee is gone"));
            addVeth();
            await("t", "up");
            reach(near);
        }
        // Each veth of an af_xdp port has its remark.
        assertEquals(port.equals(XDP) ? 5 : 2, logged("WARN"), backend.log());
        backend.checkNoFaults();
        backend.stop();
    }

    @Test
    void shouldLetGoOfAnInterfaceThatIsMovedAway() throws IOException, InterruptedException {
        addVeth();
        start(XDP);
        await("t", "up");
        reach(near);
        hub.ip("link set tee netns " + near.name());
        await("t", "down");
        Waiting.until("a log line", Duration.ofSeconds(5), () -> logged("interface tee is gone") == 1);
        Waiting.until("its program is gone", Duration.ofSeconds(5), () -> !near.hasXdp("tee"));
        near.ip("link set tee netns " + hub.name());
        hub.ip("link set tee up");
        await("t", "up");
        reach(near);
        backend.checkNoFaults();
    }

    @Test
    void shouldLeaveNoXdpProgramHoweverItEnds() throws IOException, InterruptedException {
        addVeth();
        for (final boolean kill : List.of(false, true)) {
            start(XDP);
            await("t", "up");
            reach(near);
            assertTrue(hub.hasXdp("tee"));
            assertTrue(hub.ip("-d link show dev tee").contains("promiscuity 1"));
            if (kill) {
                backend.killHard();
            } else {
                backend.stop();
            }
            Waiting.until("its program is gone", Duration.ofSeconds(5), () -> !hub.hasXdp("tee"));
            assertTrue(hub.ip("-d link show dev tee").contains("promiscuity 0"));
        }
    }

    /** The driver runs the program if it can, else the kernel does; the log and the counters say which. */
    @Test
    void shouldSayHowItsProgramRuns() throws IOException, InterruptedException {
        addVeth();
        start(XDP);
        await("t", "up");
        assertEquals("native XDP, copy", backend.port("t").get("mode").asText());
        assertEquals(1, logged("port t is up: interface tee, MTU 1500, native XDP, copy"));
        backend.stop();
        hub.ip("link add link tee name upper type macvlan mode passthru");
        hub.ip("link set upper up");
        start("id=t,type=af_xdp,ifname=upper");
        await("t", "up");
        assertEquals("generic XDP, copy", backend.port("t").get("mode").asText());
        assertEquals(1, logged("native XDP is refused"));
        reach(near);
        backend.checkNoFaults();
        backend.stop();
    }

    /**
     * On a NIC that whoever runs this names, since no veth can do it. It is moved to the namespace of the back-end, and is back,
     * down and without addresses, when that goes. If another one is cabled to it, frames go both ways; else they only leave.
     */
    @Test
    void shouldCarryFramesWithoutACopyByTheKernel() throws IOException, InterruptedException {
        final String nic = System.getProperty("xdp.nic");
        assumeTrue(
                nic != null,
                "no NIC is named whose driver has zero-copy: -Dxdp.nic=eth1, and -Dxdp.nic.peer=eth2 for one cabled to it");
        assumeTrue(NetTool.missing() == null, NetTool.missing());
        Shell.must("ip link set " + nic + " netns " + hub.name());
        hub.ip("link set " + nic + " up");
        final String peer = System.getProperty("xdp.nic.peer");
        if (peer != null) {
            Shell.must("ip link set " + peer + " netns " + near.name());
            near.setUp(peer, NEAR);
        }
        try {
            start("id=t,type=af_xdp,mode=zero-copy,ifname=" + nic);
        } catch (final AssertionError e) {
            assumeFalse(
                    e.getMessage().contains("has no zero-copy"),
                    "-Dxdp.nic=" + nic + ": " + e.getMessage().strip());
            throw e;
        }
        backend.awaitUp("t");
        assertEquals("native XDP, zero-copy", backend.port("t").get("mode").asText());
        if (peer == null) {
            sendOutOf(nic);
        } else {
            reach(near);
        }
        backend.checkNoFaults();
    }

    private void sendOutOf(final String nic) throws IOException, InterruptedException {
        final String counter = "/sys/class/net/" + nic + "/statistics/tx_packets";
        final long before = Long.parseLong(hub.must("cat", counter).trim());
        far.ip("neigh add " + NEAR + " lladdr 02:00:00:00:00:01 dev eth0");
        new NetTool(folder).sendUdp(far, NEAR, UDP_PORT, 1, DATAGRAMS, 200, 1000);
        Waiting.until(
                "all leave",
                Duration.ofSeconds(5),
                () -> backend.port("t").get("sent").get("packets").asLong() >= DATAGRAMS);
        Waiting.until(
                "the NIC counts them",
                Duration.ofSeconds(5),
                () -> Long.parseLong(hub.must("cat", counter).trim()) >= before + DATAGRAMS);
    }

    /** Which queue a flow comes by is the sender's affair; what the driver redirected on each of them is counted there. */
    @Test
    void shouldTakeFramesOfTheChosenQueueAndLeaveTheOthersToTheHost() throws IOException, InterruptedException {
        assumeTrue(NetTool.missing() == null, NetTool.missing());
        final NetTool tool = new NetTool(folder);
        addVeth(" numrxqueues 2 numtxqueues 2");
        // Questions and answers of ARP would come by either queue.
        near.ip("neigh add " + FAR + " lladdr " + hardwareAddress(far) + " dev eth0");
        far.ip("neigh add " + NEAR + " lladdr " + hardwareAddress(near) + " dev eth0");
        start(XDP + ",queue=1");
        await("t", "up");
        assertEquals(1, logged("it has 2 queues, and what arrives on others"), backend.log());
        try (NetTool.Running receiver = tool.udpReceiver(far, UDP_PORT)) {
            tool.sendUdp(near, FAR, UDP_PORT, FLOWS, DATAGRAMS, 200, 2000);
            final NetTool.Datagrams got = NetTool.datagrams(receiver);
            assertEquals(new NetTool.Datagrams(got.good(), 0, 0, got.flows()), got);
            assertTrue(0 < got.flows() && got.flows() < FLOWS, got::toString);
        }
        assertEquals(backend.port("t").get("received").get("packets").asLong(), driverCount("rx_queue_1_xdp_redirect"));
        assertEquals(0, driverCount("rx_queue_0_xdp_redirect"));
        assertTrue(driverCount("rx_queue_0_xdp_packets") > 0, "flows of the other queue");
        try (NetTool.Running receiver = tool.udpReceiver(near, UDP_PORT)) {
            tool.sendUdp(far, NEAR, UDP_PORT, FLOWS, DATAGRAMS, 200, 2000);
            final NetTool.Datagrams got = NetTool.datagrams(receiver);
            assertEquals(new NetTool.Datagrams(got.good(), 0, 0, FLOWS), got);
        }
        backend.checkNoFaults();
    }

    private static String hardwareAddress(final NetNamespace namespace) {
        return namespace.must("cat", "/sys/class/net/eth0/address").trim();
    }

    /** A counter of veth's driver. */
    private long driverCount(final String counter) {
        return hub.must("ethtool", "-S", "tee")
                .lines()
                .map(String::trim)
                .filter(line -> line.startsWith(counter + ":"))
                .mapToLong(line -> Long.parseLong(line.split(": ")[1]))
                .sum();
    }

    @Test
    void shouldSayWhatThePeerOfItsVethHasToDo() throws IOException, InterruptedException {
        hub.ip("link add tee type veth peer name eet");
        hub.ip("link set tee up");
        hub.ip("link set eet up");
        start(XDP);
        assertEquals(1, logged("ethtool -K eet tx off tso off"), backend.log());
        backend.stop();
        hub.sendCompleteFrames("eet");
        start(XDP);
        assertEquals(1, logged("ethtool -K eet tx off tso off"), backend.log());
    }

    /** More than its memory has room for, while it stands still: some are missed, the others arrive. */
    @Test
    void shouldCountFramesThatFoundNoRoom() throws IOException, InterruptedException {
        assumeTrue(NetTool.missing() == null, NetTool.missing());
        addVeth();
        start(XDP);
        await("t", "up");
        reach(near);
        final JsonNode before = backend.port("t");
        Shell.must("kill -STOP " + backend.pid());
        new NetTool(folder).sendUdp(near, FAR, UDP_PORT, 1, FLOOD, 200, 20);
        Shell.must("kill -CONT " + backend.pid());
        Waiting.until(
                "all are counted",
                Duration.ofSeconds(5),
                () -> received(backend.port("t")) >= received(before) + FLOOD);
        final JsonNode after = backend.port("t");
        assertTrue(after.get("missed").asLong() > before.get("missed").asLong(), after::toString);
        assertEquals(FLOOD, received(after) - received(before), after::toString);
    }

    private static long received(final JsonNode port) {
        return port.get("missed").asLong() + port.get("received").get("packets").asLong();
    }

    /** Its own tap is as necessary as before: it is made again. */
    @Test
    void shouldMakeItsTapAgainWhenAnAdministratorDeletesIt() throws IOException, InterruptedException {
        start(TAP);
        await("t", "up");
        hub.setUp("tee", NEAR);
        reach(hub);
        for (int i = 1; i <= 2; i++) {
            final String index = hub.must("cat", "/sys/class/net/tee/ifindex");
            hub.ip("link del tee");
            Waiting.until(
                    "another tap",
                    Duration.ofSeconds(5),
                    () -> hub.hasInterface("tee")
                            && !hub.must("cat", "/sys/class/net/tee/ifindex").equals(index));
            await("t", "up");
            hub.setUp("tee", NEAR);
            reach(hub);
            assertEquals(i, logged("interface tee is gone"));
        }
        backend.checkNoFaults();
        backend.stop();
        assertFalse(hub.hasInterface("tee"));
    }

    @Test
    void shouldGoOnWithAPersistentTapThatIsMadeAnew() throws IOException, InterruptedException {
        hub.ip("tuntap add tee mode tap");
        hub.setUp("tee", NEAR);
        start(TAP);
        await("t", "up");
        reach(hub);
        hub.ip("link del tee");
        await("t", "down");
        Thread.sleep(1500);
        assertEquals(1, logged("interface tee is gone"));
        hub.ip("tuntap add tee mode tap");
        hub.setUp("tee", NEAR);
        await("t", "up");
        reach(hub);
        backend.stop();
        assertTrue(hub.hasInterface("tee"), "it is not ours");
    }

    @Test
    void shouldTakeItsTapAlongAndLeaveOthersAsTheyWere() throws IOException, InterruptedException {
        start(TAP);
        await("t", "up");
        assertTrue(hub.ip("-d link show dev r").contains("promiscuity 1"));
        backend.stop();
        assertFalse(hub.hasInterface("tee"), "a tap of ours is gone");
        assertTrue(hub.ip("-d link show dev r").contains("promiscuity 0"));

        hub.ip("tuntap add tee mode tap");
        hub.setUp("tee", NEAR);
        start(TAP);
        await("t", "up");
        reach(hub);
        backend.stop();
        assertTrue(hub.ip("addr show dev tee").contains(NEAR), "a tap that was there stays");
        start(TAP);
        await("t", "up");
        reach(hub);
    }

    @Test
    void shouldMoveWithItsTapAndNoticeItsEnd() throws IOException, InterruptedException {
        start(TAP);
        await("t", "up");
        hub.ip("link set tee netns " + near.name());
        near.setUp("tee", NEAR);
        reach(near);
        assertEquals("up", backend.port("t").get("state").asText());
        near.ip("link set tee down");
        far.run("ping", "-q", "-c2", "-i0.2", "-W0.2", NEAR);
        near.ip("link set tee up");
        reach(near);
        assertEquals(0, backend.port("t").get("drops").get("too_big").asLong(), "a tap elsewhere has an MTU too");
        near.ip("link del tee");
        Waiting.until("a tap at home again", Duration.ofSeconds(5), () -> hub.hasInterface("tee"));
        hub.setUp("tee", NEAR);
        await("t", "up");
        reach(hub);
        backend.checkNoFaults();
    }

    @Test
    void shouldFollowItsTapWhenThatIsRenamed() throws IOException, InterruptedException {
        start(TAP);
        await("t", "up");
        hub.ip("link set tee down");
        hub.ip("link set tee name coffee");
        await("t", "down");
        hub.setUp("coffee", NEAR);
        await("t", "up");
        reach(hub);
        assertEquals(0, logged("is gone"));
        backend.checkNoFaults();
        backend.stop();
        assertFalse(hub.hasInterface("coffee"));
    }

    /** Frames that wait for us to sum them up, and others, towards a tap that is down where we cannot see it. */
    @ParameterizedTest
    @ValueSource(strings = {"on", "off"})
    void shouldCountOnceWhatATapRefuses(final String offloads) throws IOException, InterruptedException {
        assumeTrue(NetTool.missing() == null, NetTool.missing());
        start(TAP + ",offloads=" + offloads);
        await("t", "up");
        hub.ip("link set tee netns " + near.name());
        far.ip("neigh add " + NEAR + " lladdr 02:00:00:00:00:01 dev eth0");
        final long taken = backend.port("r").get("received").get("packets").asLong();
        final JsonNode before = backend.port("t");
        new NetTool(folder).sendUdp(far, NEAR, UDP_PORT, 4, DATAGRAMS, 200, 1000);
        Waiting.until(
                "all are taken",
                Duration.ofSeconds(5),
                () -> backend.port("r").get("received").get("packets").asLong() >= taken + 4 * DATAGRAMS);
        final JsonNode after = backend.port("t");
        assertEquals(before.get("sent"), after.get("sent"), "what it refused is not sent");
        assertEquals(4 * DATAGRAMS, drops(after) - drops(before), after::toString);
    }

    /** The memory of an XDP socket has frames of one size. */
    @Test
    void shouldMakeRoomForALargerMtu() throws IOException, InterruptedException {
        addVeth();
        start(XDP);
        await("t", "up");
        reach(near);
        far.ip("link set eth0 mtu 3000");
        hub.ip("link set r mtu 3000");
        near.ip("link set eth0 mtu 3000");
        hub.ip("link set tee mtu 3000");
        Waiting.until(
                "a long answer",
                Duration.ofSeconds(10),
                () -> near.run("ping", "-q", "-c1", "-W0.3", "-s2500", FAR).status() == 0);
        near.flood(FAR, 200, 2500);
        assertEquals(1, logged("interface tee has MTU 3000 now"));
        // The socket before it is closed, but the kernel may not be done with it.
        assertEquals(0, logged("another XDP socket has its queue"), backend.log());
        hub.ip("link set tee mtu 9000");
        await("t", "down");
        Waiting.until("the reason is given", Duration.ofSeconds(5), () -> backend.log()
                .contains("its MTU 9000 is too big"));
        hub.ip("link set tee mtu 1500");
        await("t", "up");
        reach(near);
        assertEquals(0, logged("another XDP socket has its queue"), backend.log());
        backend.checkNoFaults();
    }

    /** An MTU may change while we run: then frames do not fit any more, which has a counter of its own. */
    @Test
    void shouldCountFramesThatDoNotFitAnyMore() throws IOException, InterruptedException {
        assumeTrue(NetTool.missing() == null, NetTool.missing());
        start(TAP);
        await("t", "up");
        hub.setUp("tee", NEAR);
        reach(hub);
        hub.ip("link set r mtu 1000");
        Waiting.until("the new MTU is known", Duration.ofSeconds(5), () -> {
            new NetTool(folder).sendUdp(hub, FAR, UDP_PORT, 1, 1, 1200, 0);
            return backend.port("r").get("drops").get("too_big").asLong() > 0;
        });
        final JsonNode before = backend.port("r");
        new NetTool(folder).sendUdp(hub, FAR, UDP_PORT, 1, DATAGRAMS, 1200, 1000);
        Waiting.until(
                "all are counted", Duration.ofSeconds(5), () -> drops(backend.port("r")) >= drops(before) + DATAGRAMS);
        final JsonNode after = backend.port("r");
        assertEquals(before.get("sent"), after.get("sent"));
        assertEquals(DATAGRAMS, drops(after) - drops(before));
        assertEquals(
                DATAGRAMS,
                after.get("drops").get("too_big").asLong()
                        - before.get("drops").get("too_big").asLong());
        hub.ip("link set r mtu 1500");
        reach(hub);
    }

    private static long drops(final JsonNode port) {
        long sum = 0;
        for (final JsonNode count : port.get("drops")) {
            sum += count.asLong();
        }
        return sum;
    }

    @Test
    void shouldBeginAnewAfterAKill() throws IOException, InterruptedException {
        for (int i = 0; i < 2; i++) {
            start(TAP);
            await("t", "up");
            hub.setUp("tee", NEAR);
            reach(hub);
            backend.killHard();
            Waiting.until("its tap is gone", Duration.ofSeconds(5), () -> !hub.hasInterface("tee"));
            assertTrue(hub.ip("-d link show dev r").contains("promiscuity 0"));
        }
        hub.ip("tuntap add tee mode tap");
        hub.setUp("tee", NEAR);
        for (int i = 0; i < 2; i++) {
            start(TAP);
            await("t", "up");
            reach(hub);
            backend.killHard();
            assertTrue(hub.hasInterface("tee"));
        }
    }

    /** Flows are spread over both queues, and stay in order. */
    @ParameterizedTest
    @ValueSource(strings = {"tap", "persistent tap", "af_packet", "af_xdp"})
    void shouldKeepFlowsInOrderOverTwoQueues(final String type) throws IOException, InterruptedException {
        assumeTrue(NetTool.missing() == null, NetTool.missing());
        final NetTool tool = new NetTool(folder);
        final boolean tap = type.endsWith("tap");
        if (!tap) {
            addVeth(" numrxqueues 2 numtxqueues 2");
        } else if (type.startsWith("persistent")) {
            hub.ip("tuntap add tee mode tap multi_queue");
        }
        backend = BackendProcess.start(
                hub,
                folder,
                "--port",
                "id=t,type=" + (tap ? "tap" : type) + ",ifname=tee,queues=2",
                "--port",
                "id=r,type=af_packet,ifname=r,queues=2",
                "--path",
                "t <-> r");
        backend.awaitControl();
        if (tap) {
            hub.setUp("tee", NEAR);
        }
        backend.awaitUp("t", "r");
        final NetNamespace here = tap ? hub : near;
        reach(here);
        for (final boolean forth : List.of(true, false)) {
            try (NetTool.Running receiver = tool.udpReceiver(forth ? far : here, UDP_PORT)) {
                tool.sendUdp(forth ? here : far, forth ? FAR : NEAR, UDP_PORT, FLOWS, DATAGRAMS, 200, 2000);
                final NetTool.Datagrams got = NetTool.datagrams(receiver);
                // Of the flows of a queue that nobody read not one datagram would arrive; a busy machine may lose some.
                assertEquals(new NetTool.Datagrams(got.good(), 0, 0, FLOWS), got);
                assertTrue(got.good() > FLOWS * DATAGRAMS * 3L / 4, got::toString);
            }
        }
        backend.checkNoFaults();
        backend.stop();
    }

    /** One that was made for several queues does for one as well. */
    @Test
    void shouldAttachToATapOfSeveralQueuesWithOne() throws IOException, InterruptedException {
        hub.ip("tuntap add tee mode tap multi_queue");
        hub.setUp("tee", NEAR);
        start(TAP);
        await("t", "up");
        reach(hub);
        expectNoWarning();
    }

    private void expectNoWarning() throws IOException {
        assertEquals(0, logged("WARN"), backend.log());
    }
}
