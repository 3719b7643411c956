package org.mypervisor.offload.config;

import org.mypervisor.offload.rules.Place;

/** A word of a specification, and where it stands. */
public record Word(String text, Place place) {
    @Override
    public String toString() {
        return text;
    }
}
