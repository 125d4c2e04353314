package dev.mdev.gate;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;

import org.jspecify.annotations.Nullable;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/// Finds circles of classes: the strongly connected components of who uses whom, by Tarjan's
/// algorithm. A nested class counts as the class around it.
final class ClassCircles {
    private final Map<String, Set<String>> uses = new TreeMap<>();
    private final Map<String, Visit> visits = new HashMap<>();
    private final Deque<String> path = new ArrayDeque<>();
    private final List<Set<String>> circles = new ArrayList<>();

    /// A class that the search has reached.
    private static final class Visit {
        private final int number;
        private int lowest;
        private boolean isOnPath = true;

        private Visit(int number) {
            this.number = number;
            this.lowest = number;
        }
    }

    private ClassCircles(JavaClasses classes) {
        for (JavaClass type : classes) {
            Set<String> used = uses.computeIfAbsent(outermost(type), _ -> new TreeSet<>());
            type.getDirectDependenciesFromSelf()
                    .forEach(use -> used.add(outermost(use.getTargetClass())));
        }
    }

    /// The circles of more than one class, as full names.
    static List<Set<String>> of(JavaClasses classes) {
        ClassCircles search = new ClassCircles(classes);
        for (String type : search.uses.keySet()) {
            if (!search.visits.containsKey(type)) {
                search.visit(type);
            }
        }
        return search.circles;
    }

    private Visit visit(String type) {
        Visit visit = new Visit(visits.size());
        visits.put(type, visit);
        path.push(type);
        for (String used : uses.getOrDefault(type, Set.of())) {
            @Nullable Visit other = visits.get(used);
            if (!uses.containsKey(used)) {
                continue;
            }
            if (other == null) {
                visit.lowest = Math.min(visit.lowest, visit(used).lowest);
            } else if (other.isOnPath) {
                visit.lowest = Math.min(visit.lowest, other.number);
            }
        }
        if (visit.lowest == visit.number) {
            closeCircle(type);
        }
        return visit;
    }

    private void closeCircle(String first) {
        Set<String> circle = new TreeSet<>();
        String member;
        do {
            member = path.pop();
            Objects.requireNonNull(visits.get(member)).isOnPath = false;
            circle.add(member);
        } while (!member.equals(first));
        if (circle.size() > 1) {
            circles.add(circle);
        }
    }

    private static String outermost(JavaClass type) {
        JavaClass outer = type.getBaseComponentType();
        while (outer.getEnclosingClass().isPresent()) {
            outer = outer.getEnclosingClass().get();
        }
        return outer.getName();
    }
}
