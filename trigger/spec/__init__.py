"""trigger.toml: the specification of a trigger, read and checked before anything is done."""
