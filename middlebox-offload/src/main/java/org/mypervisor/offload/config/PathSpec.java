package org.mypervisor.offload.config;

import java.util.List;

/**
 * A path as written: {@code a -> element -> b} in one direction, {@code a <-> element <-> b} in both.
 *
 * @param source id of the port that frames come from
 * @param elements in the order in which a frame from the source meets them
 * @param destination id of the port that frames go to
 * @param bidirectional whether frames go the other way too, past the same elements in the opposite order
 */
public record PathSpec(Word source, List<ElementSpec> elements, Word destination, boolean bidirectional) {}
