"""Models behind a server: what it can do is found out, proved, and used the best way there is."""

from simkit.scoring.remote.client import Client, ServerError
from simkit.scoring.remote.model import InterfaceModel, RemoteModel, load_remote

__all__ = ["Client", "InterfaceModel", "RemoteModel", "ServerError", "load_remote"]
