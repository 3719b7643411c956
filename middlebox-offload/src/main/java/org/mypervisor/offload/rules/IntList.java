package org.mypervisor.offload.rules;

import java.util.Arrays;

/** A growing array of numbers. */
final class IntList {
    private int[] numbers = new int[64];
    private int size;

    int size() {
        return size;
    }

    void add(final int number) {
        if (size == numbers.length) {
            numbers = Arrays.copyOf(numbers, size * 2);
        }
        numbers[size++] = number;
    }

    int[] toArray() {
        return Arrays.copyOf(numbers, size);
    }
}
