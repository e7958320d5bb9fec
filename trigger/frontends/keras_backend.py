"""Starting Keras with a backend, without the log output of TensorFlow's native libraries."""

import contextlib
import importlib.metadata
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from trigger.errors import TriggerError

# HGQ2 installs its own package under the name qkeras, so QKeras is absent then.
NETWORKS = "hgq" if any(importlib.metadata.distributions(name="hgq2")) else "qkeras"


def start(backend: str = "tensorflow") -> None:
    """Import Keras, and QKeras or HGQ2, with this backend.

    Raises TriggerError if another backend is running or a package is missing.
    """
    running = sys.modules.get("keras")
    if running is not None:
        if running.backend.backend() != backend:
            raise TriggerError(
                f"Keras already runs on {running.backend.backend()}, but the trigger "
                f"needs {backend}; restart Python"
            )
        return
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with _silent_native_stderr():
            import keras

            importlib.import_module(NETWORKS)
    except ImportError as error:
        if error.name == NETWORKS:
            raise TriggerError(
                "neither QKeras nor HGQ2 is installed; install one with: pip install "
                "'trigger-compiler[qkeras]'"
            ) from error
        raise TriggerError(
            f"the Keras backend {backend} needs the package {error.name!r}; "
            f"install it with: pip install 'trigger-compiler[{backend}]'"
        ) from error
    keras.utils.disable_interactive_logging()


@contextlib.contextmanager
def _silent_native_stderr() -> Iterator[None]:
    # TensorFlow's C++ writes to file descriptor 2 before any Python setting reaches it.
    sys.stderr.flush()
    saved = os.dup(2)
    with Path(os.devnull).open("wb") as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
