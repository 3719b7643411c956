/**
 * What the user wrote, on the command line and in the YAML file, read into ports, paths and middleboxes, checked, and
 * expanded into the paths that run.
 *
 * <p>{@link org.mypervisor.offload.config.Config#load} is the entrance and
 * {@link org.mypervisor.offload.config.Topology} the result. Everything here runs once, before the workers start.
 */
package org.mypervisor.offload.config;
