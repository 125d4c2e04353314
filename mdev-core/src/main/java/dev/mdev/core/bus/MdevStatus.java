package dev.mdev.core.bus;

import dev.mdev.api.KernelNode;
import dev.mdev.core.device.Activity;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.ledger.Owner;

import java.util.Optional;
import java.util.UUID;

/// The facts about a device: three that are independent of each other, and an owner.
///
/// @param uuid its identity
/// @param parent its parent's name
/// @param type its type's id
/// @param owner its owner
/// @param definition *defined*: its definition on this parent, which survives a restart. For an
///   active device, `type` is the actual one
/// @param activity *active*: whether it exists in its parent
/// @param holder *assigned*: its holder; of a device in the kernel, the processes that use it
/// @param heldPages the pages it keeps from others
/// @param trouble its problem, if any
/// @param node how programs outside this host get it, if it lives in the kernel
public record MdevStatus(
        UUID uuid,
        String parent,
        String type,
        Owner owner,
        Optional<MdevDefinition> definition,
        Activity activity,
        Optional<String> holder,
        long heldPages,
        Optional<String> trouble,
        Optional<KernelNode> node) {}
