"""The lock of an output: where the system has locks, where it has none, and files that are not ours."""

import errno
import fcntl
import logging
import os
import shutil
import socket
import subprocess
import sys

import pytest

from facetag.errors import FacetagError, OutputLocked
from facetag.runs.lock import locked


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "out.csv.lock")


def read(path):
    with open(path, "rb") as stream:
        return stream.read()


def signature(host, process, start):
    return f"facetag lock\n{host}\n{process}\n{start}\n".encode()


@pytest.fixture(params=[errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL])
def without_flock(request, monkeypatch):
    def refuse(*words):
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(logging.getLogger("facetag"), "handle", lambda entry: lines.append(entry.getMessage()))
    return lines


def test_a_lock_is_signed_while_it_is_held_and_gone_afterwards(path):
    with locked(path, "out.csv"):
        assert read(path).startswith(signature(socket.gethostname(), os.getpid(), "")[:-1])
        whose = rf"^another run writes out.csv \(process {os.getpid()} on "
        with pytest.raises(OutputLocked, match=whose), locked(path, "out.csv"):
            pass
    assert not os.path.exists(path)


def test_a_lock_is_signed_before_it_has_its_name(path, tmp_path, monkeypatch):
    """So whoever is killed in between leaves nothing."""
    link, seen = os.link, []

    def linked(source, target, **where):
        seen.append((read(source), os.listdir(tmp_path)))
        link(source, target, **where)

    monkeypatch.setattr(os, "link", linked)
    with locked(path, "out.csv"):
        pass
    ((content, names),) = seen
    assert content.startswith(signature(socket.gethostname(), os.getpid(), "")[:-1]) and names == []


@pytest.mark.parametrize("lacking", ["open", "link"])
def test_where_no_file_is_without_a_name_the_lock_is_signed_a_little_later(path, monkeypatch, lacking):
    whole = getattr(os, lacking)

    def refuse(name, *words, **where):
        if lacking == "link" or words[0] & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return whole(name, *words, **where)

    monkeypatch.setattr(os, lacking, refuse)
    with locked(path, "out.csv"):
        assert read(path).startswith(signature(socket.gethostname(), os.getpid(), "")[:-1])
        with pytest.raises(OutputLocked), locked(path, "out.csv"):
            pass
    assert not os.path.exists(path)


def test_no_link_and_nothing_but_a_file_is_a_lock(path, tmp_path):
    victim = tmp_path / "victim"
    with socket.socket(socket.AF_UNIX) as server:
        for make in (lambda: os.symlink(victim, path), lambda: os.mkfifo(path), lambda: server.bind(path)):
            make()
            with pytest.raises(FacetagError, match="is not facetag's lock"), locked(path, "out.csv"):
                pass
            os.unlink(path)
    os.mkdir(path)
    with pytest.raises(FacetagError, match="is not facetag's lock"), locked(path, "out.csv"):
        pass
    assert not victim.exists()


@pytest.mark.usefixtures("without_flock")
def test_without_locks_of_the_system_the_file_keeps_others_off(path, tmp_path, said):
    with locked(path, "out.csv"):
        assert said == [f"{path} lies on a file system without locks; the file itself keeps other runs away"]
        whose = rf"process {os.getpid()} on {socket.gethostname()}"
        with pytest.raises(OutputLocked, match=whose), locked(path, "out.csv", wait=0.1):
            pass
    assert os.listdir(tmp_path) == []


def dead_process():
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


@pytest.mark.usefixtures("without_flock", "said")
def test_the_lock_of_a_dead_process_of_this_host_is_taken_over(path, tmp_path):
    for process, start in ((dead_process(), "1"), (os.getpid(), "another")):
        with open(path, "wb") as stream:
            stream.write(signature(socket.gethostname(), process, start))
        with locked(path, "out.csv", wait=5):
            assert read(path).split(b"\n")[2] == str(os.getpid()).encode()
        assert os.listdir(tmp_path) == []


@pytest.mark.usefixtures("without_flock")
def test_the_lock_of_another_host_and_what_is_not_ours_stay(path):
    for content, error in ((signature("far", 1, "2"), OutputLocked), (b"x", FacetagError)):
        with open(path, "wb") as stream:
            stream.write(content)
        with pytest.raises(error), locked(path, "out.csv"):
            pass
        assert read(path) == content


#: What a share over SMB or NFS without a lock service answers. SQLite asks the C library, so that is where it has to.
SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
int flock(int fd, int how) { errno = NO_FLOCK; return -1; }
static int asked(const char *name, int fd, int what, void *more) {
    if (what == F_SETLK || what == F_SETLKW || what == F_GETLK) { errno = NO_FCNTL; return -1; }
    return ((int (*)(int, int, ...))dlsym(RTLD_NEXT, name))(fd, what, more);
}
int fcntl(int fd, int what, ...) {
    va_list l; va_start(l, what); void *more = va_arg(l, void *); va_end(l); return asked("fcntl", fd, what, more);
}
int fcntl64(int fd, int what, ...) {
    va_list l; va_start(l, what); void *more = va_arg(l, void *); va_end(l); return asked("fcntl64", fd, what, more);
}
int fsync(int fd) {
    struct stat s;
    if (!fstat(fd, &s) && S_ISDIR(s.st_mode)) { errno = NO_FSYNC; return -1; }
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}
"""

#: A run of one shard that answers without networks, twice, and a merge.
RUNS = """
import sys
from facetag.errors import FacetagError
from facetag.pipeline.items import Source
from facetag.results import ImageResult, Status
from facetag.runs import merge, run
from facetag.runs.cache_key import CacheKey
from facetag.runs.journal import ENDING, Journal
from facetag.runs.lock import locked
document = run.Document("one.csv", "csv", None)
for known in (False, True):
    with locked("one.csv.lock", "one.csv") as for_sqlite:
        with Journal("one.csv" + ENDING, CacheKey("localize", "a model"), locks=for_sqlite) as journal:
            journal.begin()
            assert (journal.known("a.jpg") is not None) == known and not for_sqlite
            journal.add(0, ImageResult("a.jpg", Status.NO_FACE, "", 9, 9), Source(1, 2, b"3"))
            run.publish(journal.records(), document)
            journal.finish(1, "digest")
print(merge.merge(["one.csv"], "all.csv"))
"""


@pytest.mark.process
@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
@pytest.mark.parametrize(
    ("flock", "fcntl_", "fsync"),
    [("ENOLCK", "ENOLCK", "EINVAL"), ("EOPNOTSUPP", "EINVAL", "ENOTSUP"), ("EINVAL", "ENOLCK", "ENOTSUP")],
)
def test_on_a_share_without_locks_and_folder_syncing_a_run_its_update_and_a_merge_end_well(
    tmp_path, flock, fcntl_, fsync
):
    (tmp_path / "shim.c").write_text(SHIM)
    answers = [f"-DNO_FLOCK={flock}", f"-DNO_FCNTL={fcntl_}", f"-DNO_FSYNC={fsync}"]
    subprocess.run(["cc", *answers, "-shared", "-fPIC", "-o", "shim.so", "shim.c", "-ldl"], cwd=tmp_path, check=True)
    environment = {**os.environ, "LD_PRELOAD": str(tmp_path / "shim.so")}
    words = [sys.executable, "-c", RUNS]
    ended = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "1\n"), ended.stderr
    assert "without locks" in ended.stderr
    assert (tmp_path / "all.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
    assert not list(tmp_path.glob("*.lock")) and not list(tmp_path.glob(".facetag*"))
