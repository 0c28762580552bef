"""What a worker does about its memory: one arena, and what lives as long as it does set apart."""

import contextlib
import ctypes
import gc

_M_ARENA_MAX = -8  # <malloc.h>


def share_one_arena() -> None:
    """Let all threads allocate from one arena; called before there are any.

    glibc gives each thread an arena of its own, which keeps what it once held. Threads that take
    turns at the interpreter gain nothing from it. Another C library has no such thing.
    """
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def freeze_loaded() -> None:
    """Set everything that is loaded now apart from later collections.

    MLflow and scikit-learn bring some hundred thousand objects. Looking through all of them, as a
    full collection does every few seconds under load, stops every request for 150 to 250 ms.
    """
    gc.collect()
    gc.freeze()
