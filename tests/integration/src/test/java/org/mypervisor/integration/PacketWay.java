package org.mypervisor.integration;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaAccess;
import com.tngtech.archunit.core.domain.JavaCall;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaCodeUnit;
import com.tngtech.archunit.core.domain.JavaConstructorCall;
import com.tngtech.archunit.core.domain.JavaMethod;
import com.tngtech.archunit.core.domain.JavaMethodCall;
import com.tngtech.archunit.core.domain.JavaModifier;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** Our methods that can be called from some of a class, however far away, and what they do that they must not. */
final class PacketWay {
    private static final String OURS = "org.mypervisor.";

    /** What allocates, locks, logs or calls the system. */
    private static final List<String> FORBIDDEN = List.of(
            "java.util.",
            "java.io.",
            "java.nio.",
            "java.text.",
            "java.lang.String",
            "java.lang.Thread",
            "org.apache.",
            "jnr.");

    /** The errno of a call that was refused: a number that is read; LibcTest shows that nothing is allocated for it. */
    private static final String ERRNO = "org.mypervisor.vhostuser.Libc.lastErrno()";

    private final JavaClasses classes;
    private final JavaClass start;
    private final Set<JavaCodeUnit> reached = new LinkedHashSet<>();

    PacketWay(final JavaClasses classes, final String start) {
        this.classes = classes;
        this.start = classes.get(start);
    }

    PacketWay from(final String method, final Class<?>... parameters) {
        final Deque<JavaCodeUnit> open = new ArrayDeque<>(List.of(start.getMethod(method, parameters)));
        while (!open.isEmpty()) {
            final JavaCodeUnit unit = open.remove();
            if (!unit.getFullName().equals(ERRNO) && reached.add(unit)) {
                unit.getMethodCallsFromSelf().forEach(call -> open.addAll(targets(call)));
            }
        }
        return this;
    }

    /** The method itself, and all that override it: whatever implements an interface of ours can be called. */
    private static List<JavaMethod> targets(final JavaMethodCall call) {
        final JavaClass owner = call.getTargetOwner();
        if (!owner.getFullName().startsWith(OURS)) {
            return List.of();
        }
        final List<JavaMethod> targets = new ArrayList<>();
        call.getTarget().resolveMember().ifPresent(targets::add);
        final String[] parameters = call.getTarget().getRawParameterTypes().stream()
                .map(JavaClass::getName)
                .toArray(String[]::new);
        for (final JavaClass sub : owner.getAllSubclasses()) {
            sub.tryGetMethod(call.getName(), parameters).ifPresent(targets::add);
        }
        return targets;
    }

    private Set<String> owners() {
        return reached.stream().map(unit -> unit.getOwner().getFullName()).collect(Collectors.toSet());
    }

    void mustPass(final String... names) {
        for (final String name : names) {
            assertTrue(owners().contains(name), () -> name + " is not on the way: " + owners());
        }
    }

    /** Every class of such a name, and there are some. */
    void mustPassAll(final Pattern pattern) {
        final List<String> names = classes.stream()
                .map(JavaClass::getFullName)
                .filter(name -> pattern.matcher(name).matches())
                .toList();
        assertTrue(!names.isEmpty(), pattern::pattern);
        mustPass(names.toArray(String[]::new));
    }

    List<String> offences() {
        final List<String> offences = new ArrayList<>();
        for (final JavaCodeUnit unit : reached) {
            if (unit.getModifiers().contains(JavaModifier.SYNCHRONIZED)) {
                offences.add(unit.getFullName() + " is synchronized");
            }
            for (final JavaAccess<?> access : unit.getAccessesFromSelf()) {
                final String owner = access.getTargetOwner().getFullName();
                if (access instanceof JavaConstructorCall
                        || access instanceof JavaCall && FORBIDDEN.stream().anyMatch(owner::startsWith)) {
                    offences.add(access.getDescription());
                }
            }
        }
        return offences;
    }
}
