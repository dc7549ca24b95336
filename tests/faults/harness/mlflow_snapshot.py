"""A study's side of MLflow, read from the tables of its database and the files of its artifacts."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, text

NO_TAGS = (
    "mlflow.modelVersions",
    "mlflow.user",
    "mlflow.source.",
    "mlflow.parentRunId",
    "sweep.run_id",
)
"""Tags that a user or a store decides."""
NO_METRICS = re.compile(r"system/.*|epoch/seconds|summary/(.*/)?(seconds|hours|cost|at)(/.*)?")
ID = re.compile(r"[0-9a-f]{32}|m-[0-9a-f]{32}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.+]+|[\d.]+(e-?\d+)? (device-)?(seconds|hours|minutes)")


def mlflow_state(uri: str, study: str, artifacts: Path) -> dict[str, Any]:
    """Runs, logged models, and the registry, by names in place of ids."""
    engine = sqlalchemy.create_engine(uri)
    try:
        with engine.connect() as connection:
            return _state(connection, study, artifacts)
    finally:
        engine.dispose()


def _state(connection: Connection, study: str, artifacts: Path) -> dict[str, Any]:
    names = _names(connection)
    runs = {
        names[row["run_uuid"]]: _run(connection, row, names)
        for row in _rows(connection, "SELECT * FROM runs")
    }
    models = {
        names[row["model_id"]]: {
            "status": row["status"],
            "stage": row["lifecycle_stage"],
            "run": names.get(row["source_run_id"], "?"),
            "tags": _tags(
                connection, "logged_model_tags", "model_id", row["model_id"], names, "tag_"
            ),
        }
        for row in _rows(connection, "SELECT * FROM logged_models WHERE lifecycle_stage = 'active'")
    }
    return {
        "experiments": [
            row["name"] for row in _rows(connection, "SELECT name FROM experiments ORDER BY name")
        ],
        "runs": runs,
        "models": models,
        "versions": _versions(connection, names),
        "aliases": {
            row["alias"]: str(row["version"])
            for row in _rows(connection, "SELECT * FROM registered_model_aliases")
        },
        "history": _history(connection),
        "artifacts": _artifacts(artifacts, names),
    }


def _rows(connection: Connection, query: str, **values: Any) -> list[Mapping[str, Any]]:
    return list(connection.execute(text(query), values).mappings())


def _names(connection: Connection) -> dict[str, str]:
    """Ids of runs and of logged models -> names that do not change from one store to another."""
    names: dict[str, str] = {}
    seen: defaultdict[str, int] = defaultdict(int)
    for row in _rows(connection, "SELECT run_uuid, lifecycle_stage FROM runs ORDER BY start_time"):
        query = "SELECT key, value FROM tags WHERE run_uuid = :run"
        tags = {t["key"]: t["value"] for t in _rows(connection, query, run=row["run_uuid"])}
        trial, stage = tags.get("sweep.trial", "?"), tags.get("sweep.stage", "?")
        name = f"{tags.get('sweep.study')}/{trial}/{stage}"
        seen[name] += 1
        names[row["run_uuid"]] = name if seen[name] == 1 else f"{name}#{seen[name]}"
    query = "SELECT model_id, source_run_id FROM logged_models WHERE lifecycle_stage = 'active'"
    for row in _rows(connection, query):
        name = f"model of {names.get(row['source_run_id'], '?')}"
        seen[name] += 1
        names[row["model_id"]] = name if seen[name] == 1 else f"{name}#{seen[name]}"
    return names


def _named(value: str, names: Mapping[str, str]) -> str:
    """A text with names for ids, and without times."""
    return TIME.sub("<time>", ID.sub(lambda found: names.get(found[0], "<id>"), value))


def _run(
    connection: Connection, row: Mapping[str, Any], names: Mapping[str, str]
) -> dict[str, Any]:
    run = row["run_uuid"]
    metrics: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    query = (
        "SELECT key, value, step, is_nan FROM metrics WHERE run_uuid = :run "
        "ORDER BY step, timestamp"
    )
    for one in _rows(connection, query, run=run):
        if not NO_METRICS.fullmatch(one["key"]):
            steps = metrics[one["key"]]
            step = str(one["step"])
            # A study that ends twice has a summary of each end. MLflow shows the newest.
            twice = step in steps and not one["key"].startswith("summary/")
            steps[f"{step} again" if twice else step] = "nan" if one["is_nan"] else one["value"]
    query = "SELECT key, value FROM params WHERE run_uuid = :run"
    parent = _rows(
        connection,
        "SELECT value FROM tags WHERE run_uuid = :run AND key = 'mlflow.parentRunId'",
        run=run,
    )
    return {
        "status": row["status"],
        "lifecycle": row["lifecycle_stage"],
        "name": row["name"],
        "ends before it starts": bool(row["end_time"] and row["end_time"] < row["start_time"]),
        "ended": row["end_time"] is not None,
        "parent": names.get(parent[0]["value"], "?") if parent else None,
        "params": {p["key"]: p["value"] for p in _rows(connection, query, run=run)},
        "tags": _tags(connection, "tags", "run_uuid", run, names),
        "metrics": dict(metrics),
        # MLflow keeps a run's link to a model that was deleted, and no call removes one.
        "outputs": sorted(
            names[one["destination_id"]]
            for one in _rows(
                connection, "SELECT destination_id FROM inputs WHERE source_id = :run", run=run
            )
            if one["destination_id"] in names
        ),
    }


def _tags(
    connection: Connection,
    table: str,
    column: str,
    owner: str,
    names: Mapping[str, str],
    prefix: str = "",
) -> dict[str, str]:
    query = f"SELECT {prefix}key AS k, {prefix}value AS v FROM {table} WHERE {column} = :owner"
    return {
        row["k"]: _named(row["v"] or "", names)
        for row in _rows(connection, query, owner=owner)
        if not row["k"].startswith(NO_TAGS)
    }


def _versions(connection: Connection, names: Mapping[str, str]) -> dict[str, Any]:
    found = {}
    query = "SELECT * FROM model_versions WHERE current_stage != 'Deleted_Internal'"
    for row in _rows(connection, query):
        version = row["version"]
        query = "SELECT key, value FROM model_version_tags WHERE name = :name AND version = :number"
        tags = _rows(connection, query, name=row["name"], number=version)
        found[f"{row['name']}/{version}"] = {
            "run": names.get(row["run_id"], "?"),
            "status": row["status"],
            "source": _named(row["source"] or "", names),
            "tags": {
                t["key"]: _named(t["value"], names)
                for t in tags
                if not t["key"].startswith(NO_TAGS)
            },
            "page": _named(row["description"] or "", names),
        }
    return found


def _history(connection: Connection) -> list[str]:
    """Who was made champion, one after the other."""
    import json

    query = "SELECT key, value FROM registered_model_tags WHERE key LIKE 'sweep.history.%'"
    events = sorted((row["key"], json.loads(row["value"])) for row in _rows(connection, query))
    return [f"{event['kind']} {event['before']} -> {event['version']}" for _, event in events]


def _artifacts(folder: Path, names: Mapping[str, str]) -> dict[str, str]:
    from tests.faults.harness.snapshot import content

    return {
        _named(path.relative_to(folder).as_posix(), names): (
            "there"
            if path.name in ("MLmodel", "registered_model_meta")
            else content(path, folder.parent.parent)
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
