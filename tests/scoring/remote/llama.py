"""A real llama.cpp server: `python llama.py FILE PORT CONTEXT`; it ends when stdin does."""

from __future__ import annotations

import sys


def main(file: str, port: str, context: str) -> None:
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = file
    settings.n_ctx = int(context)
    settings.n_parallel = 1
    settings.cpuparams.n_threads = 2
    settings.hostnames = ["127.0.0.1"]
    settings.port = int(port)
    server = xllamacpp.Server(settings)
    sys.stdin.read()
    del server


if __name__ == "__main__":
    main(*sys.argv[1:])
