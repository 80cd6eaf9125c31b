"""The engine that has images looked at by a Ray cluster. Listing, the journal and writing stay where the command runs.

    lookup   threads here     the journal: known by path, size and time?
    read     tasks, CPUs      bytes and their digests; then, here, the journal: known by content?
    decode   tasks, CPUs      pixels, which stay in the cluster's object store
    look     actors           the model; answers without pixels come back

A job of a few inputs goes through these by itself, so jobs end in any order, and each is journalled as it ends. As many
jobs are on their way as keep all workers busy, and no more. Ray repeats tasks whose machine died; jobs whose actor died
begin anew. A job that keeps dying is split, so that one image which kills its worker is one failed result.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

from facetag.cluster.connection import Connection
from facetag.cluster.inference import ModelWorker, Sight
from facetag.cluster.reading import Content, decode_inputs, read_inputs
from facetag.errors import FacetagError, UsageError
from facetag.formats.path_encoding import one_line
from facetag.pipeline.batch_size import BatchSize
from facetag.pipeline.engine import Recollection
from facetag.pipeline.items import Answer
from facetag.pipeline.loader import MOST_ITEMS, PATIENCE, Reader, ReadSettings, read_ahead
from facetag.pipeline.timing import Stage, Stopwatch
from facetag.results import ImageResult, Status

TRIES = 3  #: of a job, before it is split, and of each of its inputs alone
_MEND = "see that facetag is installed there, and what `ray logs` says"
IN_HAND = 2  #: jobs that an actor has: one that it looks at, one that is fetched meanwhile


@dataclass(frozen=True, eq=False)
class Unread:
    """An input that has to be read; `known` is what the journal knows of its path."""

    path: str
    known: Any


@dataclass(eq=False)
class Job:
    """A few inputs on their way through the cluster."""

    inputs: list[Unread]
    tries: int = 0


@dataclass(eq=False)
class Actor:
    """A worker that holds the model.

    Attributes:
        jobs: that it has, in order: it looks at the first one.
        died_at: the one that it looked at when it died. The others are not to blame.
    """

    handle: Any
    jobs: list[Job] = field(default_factory=list)
    died_at: Job | None = None


@dataclass(frozen=True)
class Pools:
    """How many work side by side.

    Attributes:
        actors: that hold the model.
        decoders: tasks that read and decode.
        gpus: of each actor.
    """

    actors: int
    decoders: int
    gpus: int

    @classmethod
    def of(cls, cpus: int, gpus: int, device: str, actors: int | None) -> "Pools":
        """Of a cluster that has these: an actor a GPU; without GPUs three CPUs in four look and the others decode.

        >>> Pools.of(8, 0, "auto", None)
        Pools(actors=6, decoders=2, gpus=0)

        Raises:
            UsageError: more actors are asked for than there is room for.
        """
        with_gpus = gpus > 0 and device != "cpu"
        most = gpus if with_gpus else max(cpus, 1)
        if actors is not None and actors > most:
            raise UsageError(f"--ray-workers {actors} are too many for {cpus} CPUs and {gpus} GPUs", f"at most {most}")
        count = actors or (gpus if with_gpus else max(3 * cpus // 4, 1))
        return cls(count, max(cpus if with_gpus else cpus - count, 1), int(with_gpus))

    @property
    def jobs(self) -> int:
        """That are on their way at once, at most."""
        return IN_HAND * (self.actors + self.decoders)


class RayEngine:
    """In the place of `pipeline.engine.Engine`, for a run with a journal.

    Attributes:
        stored: attributes that its answers have; None when faces are only located.
        device: what the networks run on; none as long as nothing was asked.
    """

    def __init__(
        self,
        sight: Sight,
        early: ReadSettings,
        stored: tuple[str, ...] | None,
        address: str | None = None,
        actors: int | None = None,
        tell: Callable[[str, int, float], None] = lambda device, actors, seconds: None,
    ) -> None:
        """`tell` is called with the device, the number of actors and the seconds that it took until the first of them
        was ready."""
        self.stored, self.device = stored, "none"
        self._sight, self._early, self._address, self._actors, self._tell = sight, early, address, actors, tell
        self._cluster: Cluster | None = None

    @property
    def start(self) -> ReadSettings:
        """How images are read as far as that is known now."""
        return self._cluster.reading if self._cluster else self._early

    def reading(self, early: ReadSettings) -> ReadSettings:
        """Nothing is read here."""
        return early

    def loaded(self) -> "Cluster":
        """Connected, with a worker that has its model loaded.

        Raises:
            FacetagError: Ray is not installed or not reached, or a machine of the cluster cannot answer as this one.
        """
        if self._cluster is None:
            started = time.monotonic()
            connection = Connection(self._address)
            try:
                self._cluster = Cluster(connection, self._sight, self._actors)
                self._cluster.wait_for_an_actor()
            except BaseException:
                self._cluster = None
                connection.close()
                raise
            self.device = self._cluster.device
            self._tell(self.device, self._cluster.pools.actors, time.monotonic() - started)
        return self._cluster

    def answered(
        self, paths: Iterable[str], clock: Stopwatch, memory: Recollection | None
    ) -> Generator[list[Answer], None, None]:
        """One answer per path, in any order; meanwhile there is an empty batch now and then."""
        assert memory, "answers come in any order, which a journal alone can put right"
        flow = Flow(self, clock, memory)
        try:
            with closing(self._recalled(paths, clock, memory)) as items:
                for item in items:
                    flow.take(item)
                    while flow.is_full:
                        flow.step(PATIENCE)
                        yield flow.given_out()
                    if item is None or flow.has_many:
                        flow.step(0)
                        yield flow.given_out()
            flow.flush()
            while flow.is_busy:
                flow.step(PATIENCE)
                yield flow.given_out()
            yield flow.given_out()
        finally:
            if self._cluster:
                self._cluster.connection.close()
                self._cluster = None

    def _recalled(
        self, paths: Iterable[str], clock: Stopwatch, memory: Recollection
    ) -> Generator[Answer | Unread | None, None, None]:
        """Every input, in order, as far as it is known without being opened; None when none has come for a while."""

        def recall(path: str, settings: ReadSettings) -> Answer | Unread:
            known = memory.journalled(path)
            return memory.unopened(known, settings.location(path)) or Unread(path, known)

        size, reader = BatchSize(self._early.batch), cast(Reader, recall)  # what is unread is an item here alone
        found = read_ahead(paths, self._early, size, clock, reader)
        return cast("Generator[Answer | Unread | None, None, None]", found)


class Cluster:
    """A connection, and the workers on its other side.

    Attributes:
        waiting: what is waited for, and what to do when it is there.
        ready: actors that have their model.
        device, reading: of the actor that was ready first; paths are whole there.
    """

    def __init__(self, connection: Connection, sight: Sight, actors: int | None) -> None:
        ray = self.ray = connection.ray
        self.connection = connection
        there = ray.cluster_resources()
        self.pools = Pools.of(int(there.get("CPU", 0)), int(there.get("GPU", 0)), sight.device, actors)
        self.read = ray.remote(num_returns=2, scheduling_strategy="SPREAD")(read_inputs)
        self.decode = ray.remote(num_returns=2)(decode_inputs)
        self._worker = ray.remote(num_cpus=0, num_gpus=self.pools.gpus, scheduling_strategy="SPREAD")(ModelWorker)
        self._sight = sight
        self.waiting: dict[Any, Callable[[], None]] = {}
        self.ready: list[Actor] = []
        self.device, self.reading = "none", ReadSettings()
        self._failed_starts = 0
        for _ in range(self.pools.actors):
            self._start()

    def step(self, seconds: float) -> None:
        """Do what follows from whatever is there, or comes within so many seconds."""
        if self.waiting:
            done, _ = self.ray.wait(list(self.waiting), num_returns=1, timeout=seconds)
            more, _ = self.ray.wait(list(self.waiting), num_returns=len(self.waiting), timeout=0)
            there = {*done, *more}
            for reference in [each for each in self.waiting if each in there]:  # an actor's first job before its second
                self.waiting.pop(reference)()

    def wait_for_an_actor(self) -> None:
        """Until the first one is ready."""
        while not self.ready:
            self.step(PATIENCE)

    def lost(self, actor: Actor) -> None:
        """An actor died: another one takes its place, where there is room for it."""
        if actor in self.ready:
            self.ready.remove(actor)
            actor.died_at = actor.jobs[0]
            self._start()

    def free(self) -> Actor | None:
        """The actor that has the least to do, if it takes one more job."""
        actor = min(self.ready, key=lambda each: len(each.jobs), default=None)
        return actor if actor and len(actor.jobs) < IN_HAND else None

    def _start(self) -> None:
        handle = self._worker.remote(self._sight)
        prepared = handle.prepare.remote()
        self.waiting[prepared] = partial(self._prepared, handle, prepared)

    def _prepared(self, handle: Any, prepared: Any) -> None:
        try:
            device, reading = self.ray.get(prepared)
        except self.ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, FacetagError):
                raise error.cause from None
            raise FacetagError(f"a worker of the cluster cannot load the model: {_reason(error)}", _MEND) from error
        except self.ray.exceptions.RayError as error:
            self._failed_starts += 1
            if self._failed_starts > TRIES * self.pools.actors:
                raise FacetagError(f"workers of the cluster die as they start: {_reason(error)}", _MEND) from error
            self._start()
            return
        self._failed_starts = 0
        if not self.ready and self.device == "none":
            self.device, self.reading = device, replace(reading, folder=os.path.abspath(reading.folder))
        self.ready.append(Actor(handle))


@dataclass(eq=False)
class Flow:
    """The jobs of one run, and the answers that are not given out yet."""

    engine: RayEngine
    clock: Stopwatch
    memory: Recollection
    answers: list[Answer] = field(default_factory=list)
    gathered: list[Unread] = field(default_factory=list)
    jobs: set[Job] = field(default_factory=set)
    decoded: deque[tuple[Job, Any]] = field(default_factory=deque)

    @property
    def is_full(self) -> bool:
        """As many jobs are on their way as may be."""
        return bool(self.jobs) and len(self.jobs) >= self._cluster.pools.jobs

    @property
    def is_busy(self) -> bool:
        """Any is."""
        return bool(self.jobs)

    @property
    def has_many(self) -> bool:
        """Answers, so that they are worth a commit."""
        return len(self.answers) >= MOST_ITEMS * self.engine.start.batch

    @property
    def _cluster(self) -> Cluster:
        return self.engine.loaded()

    def take(self, item: Answer | Unread | None) -> None:
        """The next input; None when none has come for a while."""
        if isinstance(item, Answer):
            self.answers.append(item)
        elif item:
            self.gathered.append(item)
        if self.gathered and (item is None or len(self.gathered) >= self._cluster.reading.batch):
            self.flush()

    def flush(self) -> None:
        """Send off what was gathered."""
        if self.gathered:
            self._begin(Job(self.gathered))
            self.gathered = []

    def step(self, seconds: float) -> None:
        """Go on with the jobs that can."""
        if self.jobs:
            with self.clock.stage(Stage.WAIT):
                self._cluster.step(seconds)
            self._hand_out()

    def given_out(self) -> list[Answer]:
        """The answers since last time."""
        answers, self.answers = self.answers, []
        return answers

    def _begin(self, job: Job) -> None:
        self.jobs.add(job)
        report, read = self._cluster.read.remote([each.path for each in job.inputs], self._cluster.reading)
        self._wait(job, report, partial(self._have_read, job, read))

    def _have_read(self, job: Job, read: Any, report: tuple[Sequence[Content | ImageResult], Any]) -> None:
        """Ask the journal about what was read; what is left over, because memory is for no more, is another job."""
        contents, seconds = report
        self.clock.add(seconds)
        rest, job.inputs = job.inputs[len(contents) :], job.inputs[: len(contents)]
        if rest:
            self._begin(Job(rest))
        wanted = []
        for index, (each, content) in enumerate(zip(job.inputs, contents, strict=True)):
            cached = self._cached(each, content)
            if cached:
                self.answers.append(cached)
            else:
                wanted.append(index)
        job.inputs = [job.inputs[index] for index in wanted]
        self._decode(job, read, wanted)

    def _cached(self, each: Unread, content: Content | ImageResult) -> Answer | None:
        if isinstance(content, ImageResult):
            return Answer(content)
        return self.memory.by_content(each.path, each.known, content.source, content.kind)

    def _decode(self, job: Job, read: Any, wanted: Sequence[int]) -> None:
        if not wanted:
            self.jobs.discard(job)
            return
        report, items = self._cluster.decode.remote(read, wanted, self._cluster.reading)
        self._wait(job, report, partial(self._have_decoded, job, read, wanted, items))

    def _have_decoded(self, job: Job, read: Any, wanted: Sequence[int], items: Any, report: tuple[int, Any]) -> None:
        count, seconds = report
        self.clock.add(seconds)
        if wanted[count:]:
            rest = Job(job.inputs[count:])
            self.jobs.add(rest)
            self._decode(rest, read, wanted[count:])
        job.inputs = job.inputs[:count]
        self.decoded.append((job, items))

    def _hand_out(self) -> None:
        """Decoded jobs to the actors that have the least to do."""
        while self.decoded and (actor := self._cluster.free()):
            job, items = self.decoded.popleft()
            actor.jobs.append(job)
            self._wait(job, actor.handle.infer.remote(items), partial(self._have_inferred, job, actor), actor)

    def _have_inferred(self, job: Job, actor: Actor, report: tuple[list[Answer], Any]) -> None:
        answers, seconds = report
        actor.jobs.remove(job)
        self.clock.add(seconds)
        self.answers += answers
        self.jobs.discard(job)

    def _wait(self, job: Job, reference: Any, then: Callable[[Any], None], actor: Actor | None = None) -> None:
        self._cluster.waiting[reference] = partial(self._came, job, reference, then, actor)

    def _came(self, job: Job, reference: Any, then: Callable[[Any], None], actor: Actor | None) -> None:
        """Go on with what a task returned, or do its job again."""
        exceptions = self._cluster.ray.exceptions
        try:
            report = self._cluster.ray.get(reference)
        except exceptions.RayError as error:
            is_to_blame = True
            if actor:
                if isinstance(error, exceptions.RayActorError):
                    self._cluster.lost(actor)
                    is_to_blame = job is actor.died_at
                actor.jobs.remove(job)
            self._again(job, error, job.tries + is_to_blame)
            return
        then(report)

    def _again(self, job: Job, error: Exception, tries: int) -> None:
        self.jobs.discard(job)
        if tries < TRIES:
            self._begin(Job(job.inputs, tries))
        elif len(job.inputs) > 1:
            for each in job.inputs:
                self._begin(Job([each]))
        else:
            self.answers += [Answer(_lost(each.path, error)) for each in job.inputs]


def _lost(path: str, error: Exception) -> ImageResult:
    return ImageResult(path, Status.FAILED, one_line(f"its worker died {TRIES} times: {_reason(error)}"))


def _reason(error: Exception) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:200]
