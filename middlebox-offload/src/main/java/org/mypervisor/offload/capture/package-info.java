/**
 * Capture files as ports: what is replayed from one, what is written to one, and the port that swallows everything. Knows
 * queues and files, nothing of ports or paths.
 */
package org.mypervisor.offload.capture;
