package org.mypervisor.vhostuser;

/** Protocol feature bit numbers, vhost-user specification, section "Protocol features". */
final class ProtocolFeatures {
    static final int VHOST_USER_PROTOCOL_F_MQ = 0;
    static final int VHOST_USER_PROTOCOL_F_RARP = 2;
    static final int VHOST_USER_PROTOCOL_F_REPLY_ACK = 3;
    static final int VHOST_USER_PROTOCOL_F_NET_MTU = 4;

    private ProtocolFeatures() {}
}
