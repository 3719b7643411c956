/** The command line: {@code run}, {@code check} and {@code stats}. */
package org.mypervisor.offload.cli;
