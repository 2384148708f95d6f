"""Replicas as actors of Ray, on this machine or on a cluster."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import sys
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

from tts_runtime.cluster.replica import Replica, ReplicaFacts, ReplicaReply, ReplicaSetup
from tts_runtime.cluster.replicas import (
    PreparedSetup,
    ReplicaHandle,
    ReplicaLostError,
    ReplicaPool,
)
from tts_runtime.engines.base import EngineError
from tts_runtime.executor import BindError
from tts_runtime.problems import Problem

_LOGGER = logging.getLogger(__name__)

#: Bytes of the object store of a cluster that is started here: replies pass through memory.
_STORE: Final = 200 << 20
#: Setups that are kept there.
_STORED: Final = 64
#: Seconds after which it is said that the cluster has no room yet.
_PATIENCE: Final = 30.0
#: Seconds in which a cluster's address must answer.
_REACH: Final = 15.0
_ADDRESS: Final = re.compile(r"ray(?P<place>://[^?]+)?(?:\?(?P<options>.*))?")


@dataclass(frozen=True, slots=True)
class ClusterAddress:
    """The address of a cluster, and the resources of each replica.

    Args:
        place: `ray://HOST:PORT`; `None`: the cluster that `RAY_ADDRESS` names, else one that is
            started on this machine and ends with the run.
        cpus, gpus: That each replica reserves.
    """

    place: str | None
    cpus: float = 1.0
    gpus: float = 0.0

    @staticmethod
    def parse(text: str) -> ClusterAddress:
        """`ray`, `ray://HOST:10001`, `ray?gpus=1&cpus=4`.

        Raises:
            ValueError: Not of this form.
        """
        match = _ADDRESS.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"expected `ray` or `ray://HOST:PORT`, found {text!r}")
        amounts = {"cpus": 1.0, "gpus": 0.0}
        for option in (match["options"] or "").split("&") if match["options"] else ():
            name, _, value = option.partition("=")
            try:
                if name not in amounts or not 0 <= float(value) < 1e6:
                    raise ValueError
                amounts[name] = float(value)
            except ValueError:
                raise ValueError(
                    f"`{option}`: expected what each replica reserves, such as `ray?cpus=4&gpus=1`"
                ) from None
        place = None if match["place"] is None else f"ray{match['place']}"
        return ClusterAddress(place, **amounts)


class Clusters:
    """The replicas of a session: started when they are first needed, ended with the session."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._pools: dict[tuple[ClusterAddress, int], ReplicaPool] = {}

    async def prepare(self, address: str, count: int, setup: ReplicaSetup) -> PreparedSetup:
        """A setup on a number of replicas at an address (`ClusterAddress.parse`).

        Raises:
            EngineError: Ray is not installed, or cannot be reached; engines cannot be opened.
            BindError: Engines do not fit.
        """
        open_here = [
            name
            for engines in (setup.policies, setup.scorers)
            for name, engine in engines.items()
            if not isinstance(engine, str)
        ]
        if open_here:
            raise EngineError(
                f"`{open_here[0]}` is an engine of this process, which replicas cannot have: give "
                "its name (`python:MODULE:NAME`...)"
            )
        place = ClusterAddress.parse(address)
        pool = self._pools.get((place, count))
        if pool is None:  # nothing is waited for: there can be no second one meanwhile
            pool = await self._stack.enter_async_context(on_ray(place, count))
            self._pools[place, count] = pool
        return await pool.prepare(setup)

    async def close(self) -> None:
        """Ends all replicas."""
        self._pools.clear()
        await self._stack.aclose()


@asynccontextmanager
async def on_ray(address: ClusterAddress, count: int) -> AsyncIterator[ReplicaPool]:
    """Replicas on a cluster.

    Raises:
        EngineError: Ray is not installed, or cannot be reached.
    """
    try:
        import ray
    except ModuleNotFoundError as error:
        raise EngineError(
            "--cluster needs Ray, which is not installed: pip install 'tts-lang[ray]'"
        ) from error
    ours = not ray.is_initialized()
    if ours:
        _connect(ray, address, count)
    try:
        async with ReplicaPool(lambda: _RayReplica(ray, address), count) as replicas:
            yield replicas
    finally:
        if ours:
            ray.shutdown()


def _connect(ray: Any, address: ClusterAddress, count: int) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    place = address.place or os.environ.get("RAY_ADDRESS")
    try:
        if place is not None:
            _reach(place)
            ray.init(address=place, **quiet)
            return
        with _environment():
            ray.init(
                address="local",
                include_dashboard=False,
                object_store_memory=_STORE,
                num_cpus=max(os.cpu_count() or 1, ceil(count * address.cpus)),
                **quiet,
            )
    except Exception as error:
        # Ray says so by exceptions of many kinds.
        what = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise EngineError(f"no cluster at {place or 'this machine'}: {what}") from error


@contextmanager
def _environment() -> Iterator[None]:
    """Environment of replicas on this machine: they find the modules that this process finds."""
    variables = {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "RAY_USAGE_STATS_ENABLED": os.environ.get("RAY_USAGE_STATS_ENABLED", "0"),
    }
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _reach(place: str) -> None:
    """Tries the address first: Ray itself would try for minutes.

    Raises:
        OSError: Nobody listens there.
    """
    host, colon, port = place.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH).close()


class _RayReplica(ReplicaHandle):
    """An actor."""

    def __init__(self, ray: Any, address: ClusterAddress) -> None:
        self._ray = ray
        self._address = address
        options = {"num_cpus": address.cpus, "num_gpus": address.gpus, "max_concurrency": 1 << 14}
        # It is not Ray that starts it again: problems in flight must be known to be lost.
        self._actor = ray.remote(Replica).options(max_restarts=0, **options).remote()
        self._setups: OrderedDict[int, Any] = OrderedDict()

    async def open(self, setup: ReplicaSetup) -> ReplicaFacts:
        """Waits for room on the cluster, and for the engines."""
        stored = self._stored(setup)
        opening = asyncio.ensure_future(self._reply(self._actor.open.remote(stored)))
        try:
            done, _ = await asyncio.wait((opening,), timeout=_PATIENCE)
            if not done:
                resources = f"{self._address.cpus:g} CPUs, {self._address.gpus:g} GPUs"
                _LOGGER.warning("still waiting for a replica (%s): room, or its engines", resources)
            facts: ReplicaFacts = await opening
        finally:
            opening.cancel()
        _LOGGER.info("a replica joined: process %d", facts.process)
        return facts

    def _stored(self, setup: ReplicaSetup) -> Any:
        """A setup in Ray's store, from where replicas take it."""
        if setup.number not in self._setups:
            self._setups[setup.number] = self._ray.put(setup)
            if len(self._setups) > _STORED:
                self._setups.popitem(last=False)
        return self._setups[setup.number]

    async def answer(
        self, setup: ReplicaSetup, problem: Problem, seed: int, places: Collection[int]
    ) -> ReplicaReply:
        """Sends a problem, and waits for its outcomes."""
        # Its fields may be a view, which cannot be pickled.
        plain = Problem(
            problem.id, problem.text, problem.answer, {**problem.fields}, before=problem.before
        )
        reply: ReplicaReply = await self._reply(
            self._actor.answer.remote(self._stored(setup), plain, seed, tuple(places))
        )
        return reply

    async def end(self) -> None:
        """Kills the actor."""
        self._ray.kill(self._actor)

    async def _reply(self, reference: Any) -> Any:
        errors = self._ray.exceptions
        try:
            return await asyncio.wrap_future(reference.future())
        except errors.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, EngineError | BindError):
                raise type(cause)(str(cause)) from error
            raise EngineError(f"a replica failed: {cause!r}") from error
        except errors.RayError as error:
            reason = str(error).strip().splitlines()
            raise ReplicaLostError(
                reason[-1].strip() if reason else type(error).__name__
            ) from error
