"""Pruning by thresholds in any Optuna study: a pruner, and how a trial reports its metrics.

It needs nothing else of this project: no study file, no driver, no MLflow.
"""

from sweep.optuna_pruner.pruner import PromotionPruner, plan, report, should_prune

__all__ = ["PromotionPruner", "plan", "report", "should_prune"]
