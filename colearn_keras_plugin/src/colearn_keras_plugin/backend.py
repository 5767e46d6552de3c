"""Keras, or a clear word about a backend that isn't there. All modules here take Keras from this one."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # else TensorFlow begins by telling of the processor

try:
    import keras as keras
except ModuleNotFoundError as error:
    if error.name not in ("tensorflow", "torch", "jax"):
        raise
    raise ImportError(
        f"Keras is set to the backend {error.name}, which isn't installed. "
        "Install it, or set KERAS_BACKEND to one that is (tensorflow, torch, jax)."
    ) from error
