package org.mypervisor.offload.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PortSpecTest {
    private static PortSpec port(final String spec) {
        return new Loading().port(spec).load().ports().get(0);
    }

    @Test
    void shouldFillInDefaults() {
        final PortSpec port = port("id=fw-in,path=/run/fw-in.sock");
        assertEquals("fw-in", port.id());
        assertEquals("vhost-user", port.type());
        assertEquals("/run/fw-in.sock", port.path());
        assertTrue(port.server());
        assertEquals(1, port.queues());
        assertEquals(new PortSpec.Offered(true, true, true, true, true, true), port.offered());
        assertEquals(new PortSpec.Access(0660, Optional.empty(), Optional.empty()), port.access());
        assertEquals(1, port.waitMillis());
    }

    @Test
    void shouldReadEveryOption() {
        final String spec = "id=a,type=vhost-user,path=/tmp/with blank.sock,server=on,queues=128,packed=off,"
                + "mrg_rxbuf=off,event_idx=off,indirect=off,in_order=off,offloads=off,mode=0600,owner=root,group=kvm,wait=60000";
        final PortSpec port = port(spec);
        assertEquals("/tmp/with blank.sock", port.path());
        assertEquals(128, port.queues());
        assertEquals(new PortSpec.Offered(false, false, false, false, false, false), port.offered());
        assertEquals(new PortSpec.Access(0600, Optional.of("root"), Optional.of("kvm")), port.access());
        assertEquals(60000, port.waitMillis());
        assertEquals(spec, port.text());
        assertFalse(port("id=a,path=b,server=off").server());
    }

    @Test
    void shouldLetEachFeatureBeSwitchedOffAlone() {
        assertEquals(new PortSpec.Offered(false, true, true, true, true, true), offered("packed"));
        assertEquals(new PortSpec.Offered(true, false, true, true, true, true), offered("mrg_rxbuf"));
        assertEquals(new PortSpec.Offered(true, true, false, true, true, true), offered("event_idx"));
        assertEquals(new PortSpec.Offered(true, true, true, false, true, true), offered("indirect"));
        assertEquals(new PortSpec.Offered(true, true, true, true, false, true), offered("in_order"));
        assertEquals(new PortSpec.Offered(true, true, true, true, true, false), offered("offloads"));
    }

    private static PortSpec.Offered offered(final String feature) {
        return port("id=a,path=b," + feature + "=off").offered();
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
                "id=a,path=b,type=tap | 18 | there is no port type 'tap'; supported: vhost-user",
                "id=a,path=b,type=vhostuser | 18 | there is no port type 'vhostuser'; supported: vhost-user; did you mean 'vhost-user'?",
                "id=a,path=b,id=c | 13 | 'id' was already given at --port:1:1",
                "id=a,path=b,queue=2 | 13 | a port has no key 'queue'; it has id, type, path, server, queues, packed, mrg_rxbuf, event_idx, indirect, in_order, offloads, mode, owner, group, wait; did you mean 'queues'?",
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
    void shouldCountOccurrencesOfTheOption() {
        assertEquals(
                List.of("--port:2:13: expected key=value, not 'x'"),
                Loading.ports("a").port("id=b,path=b,x").mistakes());
    }

    @Test
    void shouldCountBytesOfSocketPath() {
        final String fits = "/" + "a".repeat(104) + "ä";
        assertEquals(fits, port("id=a,path=" + fits).path());
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
