package dev.mdev.host.web;

/// Knows the present tags of things of a kind.
public interface TagSource {
    /// The pattern of the path of a thing, which ends with its variable.
    String pattern();

    /// What has the tag, by the variable of its path.
    ///
    /// @throws dev.mdev.host.problem.ProblemException if there is nothing
    Tagged find(String name);
}
