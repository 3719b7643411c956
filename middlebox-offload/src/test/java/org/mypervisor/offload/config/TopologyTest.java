package org.mypervisor.offload.config;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class TopologyTest {
    private static final String RINGS = ",packed=on,mrg_rxbuf=on,event_idx=on,indirect=on,in_order=on";
    private static final String COMMON = ",queues=1,offloads=on";

    @Test
    void shouldRenderPortsAndExpandedPaths() {
        assertEquals(
                "ports:\n"
                        + "  id=a,type=vhost-user,path=/run/a.sock,server=on" + RINGS + ",mode=0660" + COMMON
                        + ",wait=1\n"
                        + "  id=b,type=vhost-user,path=/run/b.sock,server=on" + RINGS + ",mode=0660" + COMMON
                        + ",wait=1\n"
                        + "  id=c,type=vhost-user,path=/run/c.sock,server=off" + RINGS + COMMON + ",wait=0\n"
                        + "paths:\n"
                        + "  a -> count -> b\n"
                        + "  b -> count -> a\n"
                        + "  # c is the source of no path: its frames are dropped as no_path\n",
                Loading.ports("a", "b")
                        .port("id=c,path=/run/c.sock,server=off,wait=0")
                        .path("a <-> count <-> b")
                        .load()
                        .render());
    }

    @Test
    void shouldRenderGuards() {
        final String rendered = Loading.ports("c", "i", "s", "o")
                .middlebox("id=m,inside=c:i,outside=s:o,offload=count+wire,vm-down=drop")
                .load()
                .render();
        assertEquals(
                "paths:\n  c -> count -> s   # only while i and o are up\n  s -> count -> c   # only while i and o are up"
                        + "\n  i -> c\n  o -> s\n",
                rendered.substring(rendered.indexOf("paths:")));
    }
}
