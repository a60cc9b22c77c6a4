"""Which model of a server is meant."""

from __future__ import annotations

from typing import Any

from simkit.scoring.remote.client import Client, ServerError

__all__ = ["served"]

MOST = 12  # models that an error lists


def served(client: Client, model: str | None) -> dict[str, Any] | None:
    """The model's entry of `/v1/models`; None where there is no such list.

    Raises ServerError, listing what there is, for a name that is not there and for several models
    of which none is named.
    """
    try:
        entries = {str(entry["id"]): dict(entry) for entry in client.get("/v1/models")["data"]}
    except (ServerError, KeyError, TypeError):
        return None
    names = list(entries)
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    there = ", ".join(map(repr, names[:MOST])) + more or "none"
    if model is None and len(names) != 1:
        raise ServerError(f"{client.address} has the models {there}; say which: model=...")
    if model is not None and names and model not in names:
        raise ServerError(f"{client.address} has no model {model!r}; it has {there}")
    return entries.get(model or names[0], {"id": model})
