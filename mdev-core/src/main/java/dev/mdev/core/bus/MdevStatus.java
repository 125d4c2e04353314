package dev.mdev.core.bus;

import dev.mdev.core.device.Activity;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.ledger.Owner;

import java.util.Optional;
import java.util.UUID;

/// What is true of a device: three facts that are independent of each other, and an owner.
///
/// @param uuid its identity
/// @param parent its parent's name
/// @param type its type's id
/// @param owner whose it is
/// @param definition *defined*: what is written down of it, and survives a restart. Of an active
///   device, `parent` and `type` are what it is, whatever the definition says
/// @param activity *active*: whether it exists in its parent
/// @param holder *assigned*: who has it
/// @param heldPages the pages it keeps from others
/// @param trouble what is wrong with it, if something is
public record MdevStatus(
        UUID uuid,
        String parent,
        String type,
        Owner owner,
        Optional<MdevDefinition> definition,
        Activity activity,
        Optional<String> holder,
        long heldPages,
        Optional<String> trouble) {}
