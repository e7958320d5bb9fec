"""Trained networks from files, without running anything that is in them."""

from pathlib import Path

import keras
import qkeras.utils  # noqa: F401, registers QKeras' classes with Keras

from trigger.errors import TriggerError


def load(path: Path) -> keras.Model:
    """Read a ``.keras`` or ``.h5`` file in Keras' safe mode. Raises TriggerError for anything that is not a network."""
    if path.suffix not in (".keras", ".h5"):
        raise TriggerError(f"{path}: a network is a .keras or .h5 file")
    if not path.is_file():
        raise TriggerError(f"{path}: no such file")
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras and h5py have many ways of finding a file broken
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TriggerError(f"{path}: not a network that Keras reads: {first}") from error
    if not isinstance(model, keras.Model):
        raise TriggerError(f"{path}: holds {type(model).__name__}, not a network")
    return model
