"""What lives as long as the process is kept out of the garbage collector's way."""

import gc


def freeze_loaded() -> None:
    """Set everything that is loaded now apart from later collections.

    MLflow and scikit-learn bring some hundred thousand objects. Looking through all of them, as a
    full collection does every few seconds under load, stops every request for 150 to 250 ms.
    """
    gc.collect()
    gc.freeze()
