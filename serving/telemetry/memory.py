"""Memory of a worker: one malloc arena, and long-lived objects kept out of collections."""

import contextlib
import ctypes
import gc

_M_ARENA_MAX = -8  # <malloc.h>


def share_one_arena() -> None:
    """Make all threads allocate from one malloc arena; call it before there are any.

    glibc gives each thread an arena of its own, which retains freed memory. Threads that share the
    GIL gain nothing from it. With another C library this has no effect.
    """
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def freeze_loaded() -> None:
    """Exclude all objects that are loaded now from later garbage collections.

    MLflow and scikit-learn bring some hundred thousand objects. Traversing all of them, as a full
    collection does every few seconds under load, stops every request for 150 to 250 ms.
    """
    gc.collect()
    gc.freeze()
