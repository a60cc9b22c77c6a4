"""Which model of a server is meant."""

from __future__ import annotations

from simkit.scoring.remote.client import Client, ServerError

__all__ = ["served_name"]

MOST = 12  # models that an error lists


def served_name(client: Client, model: str | None) -> str | None:
    """The model's name, from `/v1/models`; None where there is no such list.

    Raises ServerError, listing what there is, for a name that is not there and for several models
    of which none is named.
    """
    try:
        names = [str(entry["id"]) for entry in client.get("/v1/models")["data"]]
    except (ServerError, KeyError, TypeError):
        return None
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    there = ", ".join(map(repr, names[:MOST])) + more or "none"
    if model is None and len(names) != 1:
        raise ServerError(f"{client.address} has the models {there}; say which: model=...")
    if model is not None and names and model not in names:
        raise ServerError(f"{client.address} has no model {model!r}; it has {there}")
    return model or names[0]
