/**
 * The device side of virtqueues: guest memory, descriptor chains and rings, as in virtio 1.2 §2.6 to §2.7.
 *
 * <p>Everything a guest can write is treated as hostile: each word is loaded once into a local, judged, then used.
 */
package org.mypervisor.virtqueue;
