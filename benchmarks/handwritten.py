"""A typical hand-written FastAPI app: a pydantic model, a data frame, a pickled model.

`python -m benchmarks.handwritten --model model.joblib --columns '{"age": "float"}' --port 8000`
"""

import argparse
import json
from typing import Any

import joblib  # type: ignore[import-untyped]
import pandas as pd
import uvicorn
from fastapi import FastAPI
from pydantic import create_model

_TYPES = {"float": float, "str": str}


def build(path: str, columns: dict[str, str], method: str) -> FastAPI:
    """Return the app for a pickled model."""
    model = joblib.load(path)
    fields: dict[str, Any] = {name: (_TYPES[kind], ...) for name, kind in columns.items()}
    row_type: Any = create_model("Row", **fields)
    app = FastAPI()

    @app.post("/predict")
    def predict(row: row_type) -> dict[str, Any]:
        frame = pd.DataFrame([row.model_dump()])
        return {"prediction": getattr(model, method)(frame).tolist()[0]}

    @app.get("/ready")
    def ready() -> dict[str, str]:
        return {"status": "ok"}

    return app


def main() -> None:
    """Serve the app."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--columns", required=True, type=json.loads)
    parser.add_argument("--method", default="predict_proba")
    parser.add_argument("--port", required=True, type=int)
    options = parser.parse_args()
    app = build(options.model, options.columns, options.method)
    uvicorn.run(app, port=options.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
