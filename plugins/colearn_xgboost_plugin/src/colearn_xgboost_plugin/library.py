"""XGBoost, or a clear word about how to get it. All modules here take it from this one."""

from __future__ import annotations

try:
    import xgboost as xgboost
except ModuleNotFoundError as error:
    if error.name != "xgboost":
        raise
    raise ImportError(
        "XGBoost isn't installed. Two distributions bring it: `pip install xgboost-cpu` (19 MB), "
        "or `pip install xgboost`, which takes 697 MB with its GPU libraries."
    ) from error
