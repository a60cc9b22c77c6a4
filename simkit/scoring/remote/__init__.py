"""Models behind a server: what it can do is found out, proved, and used the best way there is."""

from simkit.scoring.remote.client import Client, ServerError
from simkit.scoring.remote.costs import BudgetError, Spent
from simkit.scoring.remote.model import InterfaceModel, RemoteModel, load_openai, load_remote
from simkit.scoring.remote.recorded import load_recorded

__all__ = [
    "BudgetError",
    "Client",
    "InterfaceModel",
    "RemoteModel",
    "ServerError",
    "Spent",
    "load_openai",
    "load_recorded",
    "load_remote",
]
