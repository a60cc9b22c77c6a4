"""Work shared out to processes by Ray: on this machine, or on a cluster."""

from __future__ import annotations

import logging
import os
import pickle
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

__all__ = ["share_out"]

RETRIES = 10  # workers that a part may cost before it is held to be what kills them
STORE = 10**8  # bytes of Ray's object store on one machine: it holds the names of parts, no data


def share_out(
    make: Callable[[], Callable[[Any], Any]],
    parts: Sequence[Any],
    *,
    cluster: str,
    workers: int | None = None,
    devices: bool = True,
) -> Iterator[tuple[int, Any]]:
    """What comes of each part, in the order in which they are done.

    Each worker is a process of its own that calls `make` once (a model is loaded there), then its
    result on one part after another. A worker that dies is started anew, and its part with it: so
    a part may be begun twice, and whoever writes files must write each whole or not at all.

    Parameters
    ----------
    make : callable
        () -> (part -> result). It, the parts and the results are pickled.
    parts : sequence
        Results are given with a part's number here.
    cluster : str
        "local" for this machine, or the address of a Ray cluster ("auto" on one of its machines).
        Where this process is connected already, that connection is used.
    workers : int, optional
        Processes. None for one a GPU that is free; for one a processor core where there is none.
    devices : bool
        Whether a worker uses a GPU, if there are any.

    Yields
    ------
    (int, Any)
        The part's number and its result.

    Raises
    ------
    ValueError
        For no address, fewer than one worker, or what cannot be pickled.
    ImportError
        Where Ray is not installed, with the command that does.
    ConnectionError
        Where no cluster answers at the address.
    RuntimeError
        Where one part has killed RETRIES workers, or the cluster fails.
    Exception
        What `make` or a part raises; no further part is then begun.

    Examples
    --------
    >>> from functools import partial
    >>> from math import gcd
    >>> dict(share_out(partial(partial, gcd, 12), [8, 9], cluster="local", workers=1))
    ... # doctest: +SKIP
    {0: 4, 1: 3}
    """
    if not isinstance(cluster, str) or not cluster:
        raise ValueError(f"cluster is {cluster!r:.80}; it must be 'local' or an address")
    if workers is not None and (type(workers) is not int or workers < 1):
        raise ValueError(f"workers is {workers!r:.80}; it must be a whole number from 1")
    ray = _ray()
    try:
        text = ray.cloudpickle.dumps(make)
    except Exception as error:  # of any kind, by what cannot be pickled
        raise ValueError(f"this cannot be sent to other processes: {error}") from error
    with _connected(ray, cluster, workers):
        with warnings.catch_warnings():
            # Up to Ray 2.63 this is how to bound the retries, which without it have no end.
            warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")
            done = _table(ray, parts).map_batches(
                _Worker, fn_constructor_args=(text,), batch_size=1, max_task_retries=RETRIES,
                **_resources(ray, len(parts), workers, devices),
            )  # fmt: skip
        try:
            for row in done.iter_rows():
                result = pickle.loads(row["result"])
                if isinstance(result, Exception):
                    raise result
                yield int(row["number"]), result
        except ray.exceptions.RayError as error:
            raise RuntimeError(
                f"the cluster failed: {error}\nA part that kills {RETRIES} workers ends so too: "
                "mostly one that needs more memory than there is"
            ) from error


def _table(ray: Any, parts: Sequence[Any]) -> Any:
    """A block for each part, so that each is a task of its own."""
    rows = [{"number": i, "part": pickle.dumps(part)} for i, part in enumerate(parts)]
    return ray.data.from_items(rows, override_num_blocks=len(rows))


def _resources(ray: Any, parts: int, workers: int | None, devices: bool) -> dict[str, Any]:
    """How many workers, and what each takes: a GPU, or its share of the processor cores."""
    free = ray.available_resources()
    gpus, cores = (int(free.get(name, 0)) for name in ("GPU", "CPU"))
    count = min(workers or (devices and gpus) or max(cores, 1), parts)
    widest = max(int(node["Resources"].get("CPU", 0)) for node in ray.nodes())
    takes = {"num_gpus": 1} if devices and gpus else {}
    takes["num_cpus"] = 1 if takes else max(1, min(cores // count, widest))
    return {"compute": ray.data.ActorPoolStrategy(size=count), **takes}


class _Worker:
    """One process: makes what works, once, and takes parts."""

    def __init__(self, text: bytes) -> None:
        self.work: Callable[[Any], Any] | None = None
        self.text = text

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        try:
            self.work = self.work or pickle.loads(self.text)()
            result = self.work(pickle.loads(batch["part"][0]))
            text = pickle.dumps(result)
        except Exception as error:  # of any kind: it is raised where it was asked for
            text = _error_text(error)
        return {"number": batch["number"], "result": [text]}


def _error_text(error: Exception) -> bytes:
    """An error, pickled; one that cannot be in words."""
    try:
        text = pickle.dumps(error)
        pickle.loads(text)
    except Exception:
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
    return text


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what goes wrong is raised
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ImportError(
            f"a cluster needs ray, which cannot be imported ({error}); install it with: "
            'pip install "simkit[scale]"'
        ) from error
    return ray


@contextmanager
def _connected(ray: Any, cluster: str, workers: int | None) -> Iterator[None]:
    """Connected to a cluster; one that was started here is taken down at the end."""
    context = ray.data.DataContext.get_current()
    kept = context.enable_progress_bars, context.print_on_execution_start
    context.enable_progress_bars = context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ours = not ray.is_initialized()
    try:
        if ours:
            how: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
            if cluster == "local":
                how |= {"num_cpus": max(workers or 0, os.cpu_count() or 1)}
                how |= {"include_dashboard": False}
                how |= {"object_store_memory": STORE}
            ray.init(address=cluster, **how)
        yield
    finally:
        context.enable_progress_bars, context.print_on_execution_start = kept
        if ours:
            ray.shutdown()
