"""Who is to blame when a worker of a cluster dies. What a real cluster does is in tests/system/test_ray.py."""

from types import SimpleNamespace
from typing import Any

import pytest

from facetag.cluster.engine import TRIES, Actor, Cluster, Flow, Job, Pools, Unread
from facetag.pipeline.items import Answer
from facetag.pipeline.loader import ReadSettings
from facetag.pipeline.timing import Stopwatch


class RayError(Exception):
    pass


class RayActorError(RayError):
    pass


class FakeRay:
    """Answers at once; what an actor is asked about an input called deadly kills it, and all that it has with it."""

    exceptions = SimpleNamespace(RayError=RayError, RayActorError=RayActorError)

    def __init__(self) -> None:
        self.there: dict[object, Any] = {}

    def put(self, value: Any) -> object:
        reference = object()
        self.there[reference] = value
        return reference

    def wait(self, references: list[object], num_returns: int, timeout: float) -> tuple[list[object], list[object]]:
        return references[::-1][:num_returns], []  # the last one first: no order is promised

    def get(self, reference: object) -> Any:
        value = self.there[reference]
        if isinstance(value, Exception):
            raise value
        return value


class FakeActor:
    """It dies at a deadly input, and so does whatever waits behind it."""

    def __init__(self, ray: FakeRay, deaths: list[list[str]]) -> None:
        self.ray, self.deaths, self.is_dead = ray, deaths, False
        self.infer = SimpleNamespace(remote=self._infer)

    def _infer(self, paths: list[str]) -> object:
        if "deadly" in paths and not self.is_dead:
            self.is_dead = True
            self.deaths.append(paths)
        return self.ray.put(RayActorError("killed") if self.is_dead else ([SimpleNamespace(path=p) for p in paths], {}))


class FakeCluster(Cluster):
    """One actor, and reading that takes no time."""

    def __init__(self) -> None:
        self.ray, self.deaths = FakeRay(), []
        self.pools, self.reading, self.device = Pools(1, 1, 0), ReadSettings(batch=2), "cpu"
        self.waiting, self.ready = {}, []
        self._start()

    def _start(self) -> None:
        self.ready.append(Actor(FakeActor(self.ray, self.deaths)))


class AtOnce(Flow):
    """Without tasks that read and decode."""

    def _begin(self, job: Job) -> None:
        self.jobs.add(job)
        self.decoded.append((job, [each.path for each in job.inputs]))

    @property
    def _cluster(self) -> Cluster:
        return self.engine  # type: ignore[return-value]


@pytest.mark.parametrize("place", range(6))
def test_the_job_behind_a_deadly_one_is_not_blamed(place: int) -> None:
    paths = [f"{number}.jpg" for number in range(6)]
    paths[place] = "deadly"
    cluster = FakeCluster()
    flow = AtOnce(cluster, Stopwatch(), None)  # type: ignore[arg-type]
    answers = []
    for path in paths:
        flow.take(Unread(path, None))
        flow.step(0)
        answers += flow.given_out()
    flow.flush()
    while flow.is_busy:
        flow.step(0)
        answers += flow.given_out()
    failed = [answer.record.path for answer in answers if isinstance(answer, Answer)]
    assert failed == ["deadly"]
    assert sorted(answer.path for answer in answers if not isinstance(answer, Answer)) == sorted({*paths} - {"deadly"})
    assert len(cluster.deaths) == 2 * TRIES
