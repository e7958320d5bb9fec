"""Work on the cores of this machine, or on a Dask cluster."""

import contextlib
import logging
import os
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from trigger.errors import TriggerError

if TYPE_CHECKING:
    from dask.distributed import Client

_CONNECT_S = 10


class Pool(NamedTuple):
    """Where functions run, and how many at a time."""

    executor: Executor
    places: int


@contextlib.contextmanager
def pool(scheduler: str | None, workers: int | None = None) -> Iterator[Pool]:
    """Threads of this process, ``workers`` or one per core; or the cluster of a Dask scheduler.

    Calls that still wait when the block ends are not started.
    """
    if scheduler is not None:
        with connected(scheduler) as client:
            executor = client.get_executor(pure=False)
            try:
                yield Pool(executor, places(client))
            finally:
                executor.shutdown(wait=False)
        return
    count = workers or len(os.sched_getaffinity(0))
    threads = ThreadPoolExecutor(count)
    try:
        yield Pool(threads, count)
    finally:
        threads.shutdown(cancel_futures=True)


@contextlib.contextmanager
def connected(scheduler: str) -> "Iterator[Client]":
    """A client of the Dask scheduler at this address.

    Raises TriggerError if none answers, or if Dask is not installed.
    """
    try:
        from dask.distributed import Client
    except ModuleNotFoundError as error:
        raise TriggerError(
            f"--scheduler: no {error.name}; install it with: pip install 'trigger-compiler[search]'"
        ) from error
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = Client(scheduler, timeout=_CONNECT_S)
    except (OSError, ValueError) as error:
        raise TriggerError(
            f"--scheduler {scheduler}: no Dask scheduler answers: {error}"
        ) from error
    with client:
        yield client


def places(client: "Client") -> int:
    """The number of calls that run in parallel; at least one, which waits for the first worker."""
    threads: dict[str, int] = client.nthreads()
    return max(sum(threads.values()), 1)
