"""The tables of the triggers in the zoo."""

import tomllib

from trigger.support.resources import folder

ZOO = [tomllib.loads(path.read_text()) for path in folder("models").glob("*/trigger.toml")]
