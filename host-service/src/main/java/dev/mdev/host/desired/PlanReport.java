package dev.mdev.host.desired;

import java.util.List;

/// The differences between what is and what should be.
///
/// @param met whether there is none
/// @param steps what would end them, in this order
record PlanReport(boolean met, List<Step> steps) {}
