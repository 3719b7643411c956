package org.mypervisor.offload.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.mypervisor.offload.capture.Limits;
import org.mypervisor.offload.host.XdpInterface;

class PortSpecTest {
    private static PortSpec port(final String spec) {
        return new Loading().port(spec).load().ports().get(0);
    }

    private static PortSpec.VhostUser socket(final PortSpec port) {
        return (PortSpec.VhostUser) port.kind();
    }

    @Test
    void shouldFillInDefaults() {
        final PortSpec port = port("id=fw-in,path=/run/fw-in.sock");
        assertEquals("fw-in", port.id());
        assertEquals("vhost-user", port.type());
        assertEquals("/run/fw-in.sock", socket(port).path());
        assertTrue(socket(port).server());
        assertEquals(1, port.queues());
        assertTrue(port.offloads());
        assertEquals(
                new PortSpec.Offered(true, true, true, true, true), socket(port).offered());
        assertEquals(
                new PortSpec.Access(0660, Optional.empty(), Optional.empty()),
                socket(port).access());
        assertEquals(1, port.waitMillis());
    }

    @Test
    void shouldReadEveryOption() {
        final String spec = "id=a,type=vhost-user,path=/tmp/with blank.sock,server=on,packed=off,mrg_rxbuf=off,"
                + "event_idx=off,indirect=off,in_order=off,mode=0600,owner=root,group=kvm,queues=128,offloads=off,wait=60000";
        final PortSpec port = port(spec);
        assertEquals("/tmp/with blank.sock", socket(port).path());
        assertEquals(128, port.queues());
        assertFalse(port.offloads());
        assertEquals(
                new PortSpec.Offered(false, false, false, false, false),
                socket(port).offered());
        assertEquals(
                new PortSpec.Access(0600, Optional.of("root"), Optional.of("kvm")),
                socket(port).access());
        assertEquals(60000, port.waitMillis());
        assertEquals(spec, port.text());
        assertFalse(socket(port("id=a,path=b,server=off")).server());
    }

    @Test
    void shouldLetEachFeatureBeSwitchedOffAlone() {
        assertEquals(new PortSpec.Offered(false, true, true, true, true), offered("packed"));
        assertEquals(new PortSpec.Offered(true, false, true, true, true), offered("mrg_rxbuf"));
        assertEquals(new PortSpec.Offered(true, true, false, true, true), offered("event_idx"));
        assertEquals(new PortSpec.Offered(true, true, true, false, true), offered("indirect"));
        assertEquals(new PortSpec.Offered(true, true, true, true, false), offered("in_order"));
    }

    private static PortSpec.Offered offered(final String feature) {
        return socket(port("id=a,path=b," + feature + "=off")).offered();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "path=/run/a | 1 | the port has no 'id'; add id=NAME",
                "id=a | 1 | the port has no 'path'; add path=/run/NAME.sock",
                "id=a,path= | 11 | 'path' has no value",
                "id=1a,path=b | 4 | '1a' is no id: a letter and up to 63 letters, digits, '-', '.' or '_'",
                "id=a:b,path=b | 4 | 'a:b' is no id: a letter and up to 63 letters, digits, '-', '.' or '_'",
                "id=a,path=b,type=tun | 18 | there is no port type 'tun'; supported: vhost-user, tap, af_packet, af_xdp, pcap, null",
                "id=a,type=tap,ifname=t,path=b | 24 | a port of type tap has no key 'path'; it has id, type, queues, offloads, wait, ifname, mtu",
                "id=a,type=af_packet | 1 | the port has no 'ifname'; add ifname=eth0",
                "id=a,type=af_packet,ifname=0123456789abcdef | 28 | '0123456789abcdef' is no name of an interface: at most 15 bytes, no blanks, '/', ':' or '%'; 'ip link' lists those there are",
                "id=a,type=tap,ifname=a/b | 22 | 'a/b' is no name of an interface: at most 15 bytes, no blanks, '/', ':' or '%'; 'ip link' lists those there are",
                "id=a,type=tap,ifname=t,mtu=67 | 28 | 'mtu' is a number from 68 to 65521, not '67'",
                "id=a,type=af_xdp,ifname=t,mode=zero | 32 | 'mode' is auto or copy or zero-copy, not 'zero'",
                "id=a,type=af_xdp,ifname=t,queue=4096 | 33 | 'queue' is a number from 0 to 4095, not '4096'",
                "id=a,type=af_xdp,ifname=t,offloads=on | 36 | a port of type af_xdp has no offloads",
                "id=a,type=null,ifname=b | 16 | a port of type null has no key 'ifname'; it has id, type, queues, offloads, wait",
                "id=a,type=pcap | 1 | the port has neither 'read' nor 'write'; add read=FILE to replay a capture, write=FILE to make one",
                "id=a,type=pcap,read=f,queues=2 | 30 | 'queues' is a number from 1 to 1, not '2'",
                "id=a,type=pcap,write=f,speed=max | 30 | 'speed' goes with 'read', which the port does not have; add read=FILE",
                "id=a,type=pcap,read=f,size=1K | 28 | 'size' goes with 'write', which the port does not have; add write=FILE",
                "id=a,type=pcap,read=f,speed=fast | 29 | 'speed' is recorded, max or a multiple such as 2x or 0.5x, not 'fast'",
                "id=a,type=pcap,read=f,speed=0.0x | 29 | 'speed' is recorded, max or a multiple such as 2x or 0.5x, not '0.0x'",
                "id=a,type=pcap,read=f,speed=max,rate=9 | 38 | 'speed' and 'rate' exclude each other",
                "id=a,type=pcap,read=f,rate=0 | 28 | 'rate' is a number from 1 to 100000000, not '0'",
                "id=a,type=pcap,read=f,loop=0 | 28 | 'loop' is a number from 1 to 999999999, not '0'",
                "id=a,type=pcap,write=f,size=1T | 29 | 'size' is a number of bytes, such as 100000, 500K, 100M or 2G, not '1T'",
                "id=a,type=pcap,write=f,size=0 | 29 | 'size' is a number of bytes, such as 100000, 500K, 100M or 2G, not '0'",
                "id=a,type=pcap,write=f,size=9223372036854775808 | 29 | 'size' is at most 9223372036854775807 bytes, not '9223372036854775808'",
                "id=a,type=pcap,write=f,size=8589934592G | 29 | 'size' is at most 9223372036854775807 bytes, not '8589934592G'",
                "id=a,type=pcap,write=f,seconds=0 | 32 | 'seconds' is a number from 1 to 31536000, not '0'",
                "id=a,type=pcap,read=f,write=./f | 29 | this is the file that is replayed; write another one",
                "id=a,path=b,type=vhostuser | 18 | there is no port type 'vhostuser'; supported: vhost-user, tap, af_packet, af_xdp, pcap, null; did you mean 'vhost-user'?",
                "id=a,path=b,id=c | 13 | 'id' was already given at --port:1:1",
                "id=a,path=b,queue=2 | 13 | a port of type vhost-user has no key 'queue'; it has id, type, queues, offloads, wait, path, server, packed, mrg_rxbuf, event_idx, indirect, in_order, mode, owner, group; did you mean 'queues'?",
                "id=a,path=b,queues=0 | 20 | 'queues' is a number from 1 to 128, not '0'",
                "id=a,path=b,queues=129 | 20 | 'queues' is a number from 1 to 128, not '129'",
                "id=a,path=b,queues=two | 20 | 'queues' is a number from 1 to 128, not 'two'",
                "id=a,path=b,wait=60001 | 18 | 'wait' is a number from 0 to 60000, not '60001'",
                "id=a,path=b,wait=-1 | 18 | 'wait' is a number from 0 to 60000, not '-1'",
                "id=a,path=b,wait=99999999999999999999 | 18 | 'wait' is a number from 0 to 60000, not '99999999999999999999'",
                "id=a,path=b,packed=no | 20 | 'packed' is on or off, not 'no'; did you mean 'on'?",
                "id=a,path=b,server=true | 20 | 'server' is on or off, not 'true'",
                "id=a,path=b,mode=0888 | 18 | 'mode' is three octal digits like 0660, not '0888'",
                "id=a,path=b,mode=1777 | 18 | 'mode' is three octal digits like 0660, not '1777'",
                "id=a,,path=b | 6 | expected key=value here; is there a comma too many?",
                "id=a,path=b, | 13 | expected key=value here; is there a comma too many?",
                "id=a,path=b,server | 13 | expected key=value, not 'server'",
                "id=a,path=b,=x | 13 | expected key=value, not '=x'",
                "id=a,path=b) | 12 | this parenthesis has no partner",
                "id=a,path=b(((c) | 12 | this parenthesis has no partner"
            })
    void shouldSayWhatIsWrongAndWhere(final String spec, final int column, final String message) {
        assertEquals(
                List.of("--port:1:" + column + ": " + message),
                new Loading().port(spec).mistakes());
    }

    @Test
    void shouldReadPortsToInterfaces() {
        final String tap = "id=a,type=tap,ifname=tap0,mtu=9000,queues=2,offloads=off,wait=0";
        assertEquals(tap, port(tap).text());
        assertEquals(new PortSpec.Tap("tap0", 9000), port(tap).kind());
        final String packet = "id=a,type=af_packet,ifname=eth0,queues=1,offloads=on,wait=1";
        assertEquals(packet, port("id=a,type=af_packet,ifname=eth0").text());
        final String xdp = "id=a,type=af_xdp,ifname=eth0,queue=2,mode=zero-copy,queues=1,offloads=off,wait=1";
        assertEquals(
                xdp, port("id=a,type=af_xdp,ifname=eth0,queue=2,mode=zero-copy").text());
        assertEquals(xdp, port(xdp).text());
        assertEquals(
                new PortSpec.AfXdp("eth0", 0, XdpInterface.Copying.AUTO),
                port("id=a,type=af_xdp,ifname=eth0").kind());
    }

    @Test
    void shouldReadPortsToFilesAndToNothing() {
        final String replay = "id=a,type=pcap,read=f,speed=recorded,loop=1,queues=1,offloads=on,wait=0";
        assertEquals(replay, port("id=a,type=pcap,read=f").text());
        for (final String pace : List.of("speed=max", "speed=0.5x", "speed=100x", "rate=1000")) {
            final String both = "id=a,type=pcap,read=f," + pace
                    + ",loop=forever,write=g,size=2048,seconds=60,queues=1,offloads=on,wait=5";
            assertEquals(both, port(both).text());
        }
        assertEquals(3L << 30, limits("size=3G").bytes());
        assertEquals(100L << 20, limits("size=100M").bytes());
        assertEquals(500L << 10, limits("size=500K").bytes());
        assertEquals(Long.MAX_VALUE, limits("size=9223372036854775807").bytes());
        assertEquals(8_589_934_591L << 30, limits("size=8589934591G").bytes());
        final String printed = port("id=a,type=pcap,write=f,size=2G").text();
        assertTrue(printed.contains(",size=2147483648,"), printed);
        assertEquals(printed, port(printed).text());
        assertEquals(
                "id=a,type=null,queues=2,offloads=on,wait=1",
                port("id=a,type=null,queues=2").text());
    }

    private static Limits limits(final String option) {
        return ((PortSpec.Pcap) port("id=a,type=pcap,write=f," + option).kind()).limits();
    }

    @Test
    void shouldNotWriteOverWhatIsReplayed(@TempDir final Path folder) throws IOException {
        final Path day = Files.createFile(folder.resolve("day.pcap"));
        final Path link = Files.createSymbolicLink(folder.resolve("link.pcap"), day);
        final Path hardLink = Files.createLink(folder.resolve("hard.pcap"), day);
        for (final Path other : List.of(day, link, hardLink)) {
            final List<String> mistakes = new Loading()
                    .port("id=out,type=pcap,write=" + other)
                    .port("id=in,type=pcap,read=" + day)
                    .mistakes();
            assertEquals(
                    List.of("--port:1:24: this is the file that port 'in', at --port:2:4, replays; write another one"),
                    mistakes);
            assertEquals(
                    List.of("--port:1:" + (("id=a,type=pcap,read=" + day + ",write=").length() + 1)
                            + ": this is the file that is replayed; write another one"),
                    new Loading()
                            .port("id=a,type=pcap,read=" + day + ",write=" + other)
                            .mistakes());
        }
    }

    @Test
    void shouldNotLetTwoPortsWriteOneFile() {
        assertEquals(
                List.of("--port:2:22: this file already belongs to port 'a', at --port:1:4; each port needs its own"),
                new Loading()
                        .port("id=a,type=pcap,write=f")
                        .port("id=b,type=pcap,write=./f")
                        .mistakes());
    }

    @Test
    void shouldNotLetTwoPortsWriteOneFileOfTwoNames(@TempDir final Path folder) throws IOException {
        final Path there = Files.createFile(folder.resolve("there"));
        final Path hardLink = Files.createLink(folder.resolve("hard"), there);
        final Path absent = folder.resolve("absent");
        final Path link = Files.createSymbolicLink(folder.resolve("link"), Path.of("chain"));
        Files.createSymbolicLink(folder.resolve("chain"), absent);
        final Path sameFolder = Files.createSymbolicLink(folder.resolve("same"), folder);
        for (final List<Path> names : List.of(
                List.of(there, hardLink),
                List.of(absent, link),
                List.of(link, absent),
                List.of(absent, sameFolder.resolve("absent")),
                List.of(there, sameFolder.resolve("../" + folder.getFileName() + "/hard")))) {
            assertEquals(
                    List.of(
                            "--port:2:22: this file already belongs to port 'a', at --port:1:4; each port needs its own"),
                    new Loading()
                            .port("id=a,type=pcap,write=" + names.get(0))
                            .port("id=b,type=pcap,write=" + names.get(1))
                            .mistakes());
        }
        final Topology two = new Loading()
                .port("id=a,type=pcap,write=" + there)
                .port("id=b,type=pcap,write=" + absent)
                .load();
        assertEquals(2, two.ports().size());
    }

    @Test
    void shouldNotLetTwoPortsShareAnInterface() {
        assertEquals(
                List.of(
                        "--port:2:22: this interface already belongs to port 'a', at --port:1:4; each port needs its own"),
                new Loading()
                        .port("id=a,type=tap,ifname=t0")
                        .port("id=b,type=tap,ifname=t0")
                        .mistakes());
    }

    @Test
    void shouldCountOccurrencesOfTheOption() {
        assertEquals(
                List.of("--port:2:13: expected key=value, not 'x'"),
                Loading.ports("a").port("id=b,path=b,x").mistakes());
    }

    @Test
    void shouldCountBytesOfSocketPath() {
        final String fits = "/" + "a".repeat(104) + "ä";
        assertEquals(fits, socket(port("id=a,path=" + fits)).path());
        assertEquals(
                List.of("--port:1:11: the socket path has 108 bytes, and a UNIX socket takes at most 107; choose a"
                        + " shorter one"),
                new Loading().port("id=a,path=" + fits + "b").mistakes());
    }

    @Test
    void shouldRefuseSecondPortOfSameIdOrSocket() {
        assertEquals(
                List.of("--port:2:11: there is already a port 'a', at --port:1:4; rename one"),
                Loading.ports("a").port("path=c,id=a").mistakes());
        assertEquals(
                List.of("--port:2:11: this socket already belongs to port 'a', at --port:1:4; each port needs its own"),
                Loading.ports("a").port("id=b,path=/run/../run/a.sock").mistakes());
    }

    @Test
    void shouldRefuseConfigurationWithoutPorts() {
        assertEquals(
                List.of("--port:1:1: there is no port; add --port id=NAME,path=/run/NAME.sock"),
                new Loading().mistakes());
    }

    @Test
    void shouldNotBlamePathsForPortsThatCouldNotBeRead() {
        assertEquals(
                List.of("--port:2:1: the port has no 'id'; add id=NAME"),
                Loading.ports("a").port("path=/run/b.sock").path("a -> b").mistakes());
    }

    @Test
    void shouldNameMistakesOfAllOptionsAtOnce() {
        assertEquals(
                List.of("--path:1:6", "--port:1:20", "--port:1:27"),
                new Loading()
                        .port("id=a,path=b,queues=x,mode=9").path("a -> c").mistakes().stream()
                                .map(message -> message.split(": ")[0])
                                .sorted()
                                .toList());
    }
}
