"""`--engine ray` on a real cluster of three nodes on this machine: what it answers, and what happens when parts die."""

import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from faulty_server import faulty_server
from photographs import make_photographs

pytestmark = [
    pytest.mark.system,
    pytest.mark.process,
    pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: pip install 'facetag[ray]'"),
]

COUNT = 64
SUPPORT = Path(__file__).parents[1] / "support"
SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture(scope="module")
def surroundings():
    """Environment of the cluster and of its drivers, which then know its token."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        patch.setenv("PYTHONPATH", f"{SOURCE}:{SUPPORT}")
        patch.setenv("OMP_NUM_THREADS", "1")
        yield patch


@pytest.fixture(scope="module")
def faults(surroundings):
    """A server that speaks S3, which the cluster's workers find too, behind a proxy that can let requests fail."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    behind = server.get_host_and_port()[1]
    keys = {"AWS_ACCESS_KEY_ID": "anybody", "AWS_SECRET_ACCESS_KEY": "pa55word", "AWS_DEFAULT_REGION": "us-east-1"}
    with faulty_server(behind) as faults:
        for name, value in {**keys, "AWS_ENDPOINT_URL": faults.address}.items():
            surroundings.setenv(name, value)
        yield faults
    server.stop()


@pytest.fixture(scope="module")
def cluster(faults):
    from ray.cluster_utils import Cluster  # only now: at import it looks for the token

    made = Cluster()
    for _ in range(3):
        _add_node(made)
    yield made
    made.shutdown()


def _add_node(cluster):
    """Ray gives a node thirty seconds to start; on a busy machine that is not always enough."""
    for attempt in range(4):
        try:
            return cluster.add_node(num_cpus=1, include_dashboard=False)
        except Exception as error:
            if attempt == 3 or "timed out" not in str(error):
                raise
    return None


@pytest.fixture
def photos(tmp_path):
    return make_photographs(tmp_path / "in", COUNT)


@pytest.fixture
def command(cluster, model_folder, photos, tmp_path):
    """Words of a run through the cluster."""
    return [
        sys.executable, "-m", "facetag", "predict", str(photos), "--model", str(model_folder), "--out", "ray.csv",
        "--batch", "4", "--engine", "ray", "--ray-address", cluster.address,
    ]  # fmt: skip


@pytest.fixture
def expected(photos, model_folder, tmp_path):
    """What the local engine writes."""
    words = ["predict", str(photos), "--model", str(model_folder), "--out", "local.csv"]
    subprocess.run([sys.executable, "-m", "facetag", *words], cwd=tmp_path, check=True, capture_output=True)
    return lambda: (tmp_path / "local.csv").read_bytes()


def run(command, folder):
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=400)


def seen(folder):
    """Inputs that the journal has seen, by a copy of it: a run lets nobody else read its own."""
    name = "ray.csv.facetag.sqlite"
    with TemporaryDirectory() as copies, suppress(OSError, sqlite3.Error):
        for ending in ("", "-wal"):
            with suppress(FileNotFoundError):
                shutil.copyfile(folder / f"{name}{ending}", Path(copies, f"{name}{ending}"))
        with closing(sqlite3.connect(Path(copies, name))) as base:
            return base.execute("SELECT count(*) FROM seen").fetchone()[0]
    return 0


def started(command, folder, count):
    """A run that has answered so many inputs, and not all."""
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    while seen(folder) < count:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    assert seen(folder) < COUNT
    return process


def test_the_same_bytes_and_a_rerun_asks_what_is_missing(command, expected, photos, tmp_path):
    said = run(command, tmp_path)
    assert said.returncode == 0, said.stderr
    assert f"{COUNT} new, 0 changed, 0 reused" in said.stderr and "2 Ray workers" in said.stderr
    assert all(line.startswith("facetag: ") for line in said.stderr.splitlines()), said.stderr  # Ray is silent
    assert (tmp_path / "ray.csv").read_bytes() == expected()
    for number in range(4):
        (photos / f"{number:06}.jpg").rename(photos / f"moved{number}.jpg")
    (photos / "new.jpg").write_bytes((photos / "000009.jpg").read_bytes() + b"new")
    said = run(command, tmp_path)
    assert said.returncode == 0 and f"1 new, 0 changed, {COUNT} reused" in said.stderr, said.stderr
    with closing(sqlite3.connect(tmp_path / "ray.csv.facetag.sqlite")) as base:
        assert base.execute("SELECT count(*), count(DISTINCT path) FROM seen").fetchone() == (COUNT + 1, COUNT + 1)


def test_a_dead_driver_loses_nothing(command, expected, tmp_path):
    process = started(command, tmp_path, 8)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    known = seen(tmp_path)
    said = run(command, tmp_path)
    assert said.returncode == 0 and 8 <= known < COUNT, said.stderr
    assert f"{COUNT - known} new, 0 changed, {known} reused" in said.stderr
    assert (tmp_path / "ray.csv").read_bytes() == expected()


def test_a_signal_ends_a_run_that_goes_on_afterwards(command, expected, tmp_path):
    process = started(command, tmp_path, 8)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 143 and "the same command goes on" in said and "Traceback" not in said
    assert run(command, tmp_path).returncode == 0
    assert (tmp_path / "ray.csv").read_bytes() == expected()


def test_a_dead_node_loses_nothing(command, expected, cluster, tmp_path):
    process = started(command, tmp_path, 8)
    nodes = [node for node in cluster.worker_nodes if _holds_a_model(node)]
    cluster.remove_node(nodes[0], allow_graceful=False)
    _, said = process.communicate(timeout=400)
    assert process.returncode == 0 and f"{COUNT} new, 0 changed, 0 reused" in said, said
    assert (tmp_path / "ray.csv").read_bytes() == expected()
    with closing(sqlite3.connect(tmp_path / "ray.csv.facetag.sqlite")) as base:
        assert base.execute("SELECT count(*), count(DISTINCT path) FROM seen").fetchone() == (COUNT, COUNT)


def test_photos_and_parts_in_a_bucket(command, faults, photos, model_folder, tmp_path):
    boto3 = pytest.importorskip("boto3")
    bucket = boto3.resource("s3", endpoint_url=faults.address).Bucket("photos")
    bucket.create()
    for path in sorted(photos.iterdir())[:16]:
        bucket.put_object(Key=f"in/{path.name}", Body=path.read_bytes())
    command[command.index(str(photos))] = "s3://photos/in/"
    command[command.index("ray.csv")] = "s3://photos/tags.parquet/"
    faults.first(2, "slow down", "GET", "000003.jpg")
    said = run([*command, "--journal", "ray.journal"], tmp_path)
    assert said.returncode == 0 and "16 new, 0 changed, 0 reused" in said.stderr, said.stderr
    assert "pa55word" not in said.stderr
    local = ["predict", "s3://photos/in/", "--model", str(model_folder), "--out", "local.parquet/"]
    assert run([sys.executable, "-m", "facetag", *local], tmp_path).returncode == 0
    there = {each.key.rpartition("/")[2]: each.get()["Body"].read() for each in bucket.objects.filter(Prefix="tags")}
    assert there == {path.name: path.read_bytes() for path in (tmp_path / "local.parquet").iterdir()}

    faults.seen.clear()
    said = run([*command, "--journal", "ray.journal"], tmp_path)
    assert said.returncode == 0 and "0 new, 0 changed, 16 reused" in said.stderr, said.stderr
    assert not [path for _, path in faults.seen if path.endswith(".jpg")]


def test_watching_starts_a_ray_for_each_run_that_looks_at_images(surroundings, photos, model_folder, tmp_path):
    pytest.importorskip("watchfiles")
    late = [path.rename(tmp_path / path.name) for path in sorted(photos.iterdir())[4:]]
    words = ["predict", str(photos), "--watch", "--model", str(model_folder), "--out", "ray.csv", "--engine", "ray"]
    process = subprocess.Popen(
        [sys.executable, "-m", "facetag", *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    for count in (4, 5):
        while _inputs(tmp_path / "ray.csv") != count:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.2)
        late[0].rename(photos / late[0].name) if count == 4 else process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0 and said.count("Ray worker") == 2 and "Traceback" not in said, said
    assert "1 new, 0 changed, 4 reused" in said


def _inputs(out):
    return len({line.split(",")[1] for line in out.read_text().splitlines()[1:]}) if out.exists() else 0


def _holds_a_model(node):
    """Whether one of its workers is a ModelWorker."""
    raylet = node.all_processes["raylet"][0].process.pid
    return any(b"ray::ModelWorker" in _of_process(pid, "cmdline") for pid in _children(raylet))


def _children(parent):
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in pids if b"PPid:\t%d\n" % parent in _of_process(pid, "status")]


def _of_process(pid, name):
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


#: Tags a folder through a Ray of its own, whose worker dies over one image; then says who listens on what.
DEADLY = """
import os, sys
from pathlib import Path
from deadly import DeadlyWorker
from facetag import cli
from facetag.cluster import engine
engine.ModelWorker = DeadlyWorker
sys.exit(cli.run(sys.argv[1:]))
"""


def test_an_image_that_kills_its_worker_is_one_failed_row(surroundings, photos, model_folder, tmp_path):
    for number in range(8, COUNT):
        (photos / f"{number:06}.jpg").unlink()
    (photos / "deadly.jpg").write_bytes((photos / "000001.jpg").read_bytes() + b"deadly")
    words = ["predict", str(photos), "--model", str(model_folder), "--out", "out.csv", "--engine", "ray"]
    said = run([sys.executable, "-c", DEADLY, *words], tmp_path)
    assert said.returncode == 3, said.stderr
    rows = (tmp_path / "out.csv").read_text().splitlines()
    assert sum("deadly" in row and ",failed,its worker died 3 times: " in row for row in rows) == 1
    assert "8 ok" in said.stderr and "1 failed" in said.stderr and "Traceback" not in said.stderr


LOCAL = """
from facetag.cluster.connection import Connection
import sys
connection = Connection()
print("ready", flush=True)
sys.stdin.read()
connection.close()
"""


def test_a_local_ray_listens_on_loopback_alone_and_leaves_nothing(surroundings, tmp_path):
    surroundings = {**os.environ, "TMPDIR": "/tmp", "HOME": str(tmp_path)}
    before = _listening()
    process = subprocess.Popen(
        [sys.executable, "-c", LOCAL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=surroundings, text=True
    )
    assert process.stdout.readline() == "ready\n"
    added = _listening() - before
    assert added and all(address.endswith("0100007F") for address, _ in added)
    process.communicate("", timeout=60)
    assert process.returncode == 0 and not list(tmp_path.iterdir())


def _listening():
    """(address, port) in hexadecimal that TCP sockets of this machine listen at."""
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]
    return {tuple(line[1].split(":")) for line in lines[1:] if len(line) > 3 and line[3] == "0A"}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "no Ray cluster answers at {}"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "what answers at {} is no Ray cluster"),
    ],
)
def test_an_address_where_something_else_answers_is_one_line(answer, reason, photos, model_folder, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_answer, args=(server, answer), daemon=True).start()
        words = ["predict", str(photos), "--model", str(model_folder), "--out", "x.csv", "--engine", "ray"]
        address = f"127.0.0.1:{server.getsockname()[1]}"
        said = run([sys.executable, "-m", "facetag", *words, "--ray-address", address], tmp_path)
    assert said.returncode == 1 and said.stderr.startswith(f"facetag: error: {reason.format(address)}"), said.stderr
    assert len(said.stderr.splitlines()) == 1


def _answer(server, answer):
    """To the first who calls; silence where there is nothing to say."""
    connection, _ = server.accept()
    with connection:
        connection.sendall(answer)
        time.sleep(30)
