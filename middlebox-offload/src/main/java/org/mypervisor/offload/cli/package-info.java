/** The command line: {@code run}, {@code check}, {@code stats} and {@code cost}. */
package org.mypervisor.offload.cli;
