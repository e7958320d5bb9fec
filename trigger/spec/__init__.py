"""trigger.toml: what a trigger is asked to be, read and checked before anything is done."""
