"""Run folders: who may write in them, what stays in them, and which one is meant."""

import errno
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.command import contents
from vaa_cli.core.errors import VAAError
from vaa_cli.core.runs import folder
from vaa_cli.core.runs.folder import (
    create_run,
    earlier_checkpoints,
    go_back,
    has_begun,
    is_free,
    is_kept,
    keep_earlier,
    kept_config,
    locked,
    locked_new_run,
    new_run,
)
from vaa_cli.core.runs.lookup import mark_latest, model_file, resume_point

RUN = Path("runs/first")
OPTIONS: dict[str, Any] = {"backbone": "resnet18", "stages": [3, 4]}
CONFIG: dict[str, Any] = {"options": OPTIONS, "data": "prepared/mine"}
# Trains nothing: holds the lock of a run until its stdin ends or it is killed.
HOLDER = """
import sys
from pathlib import Path
from vaa_cli.core.errors import VAAError
from vaa_cli.core.runs.folder import locked
try:
    with locked(Path(sys.argv[1])):
        print("locked", flush=True)
        sys.stdin.read()
except VAAError as error:
    print(error, flush=True)
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Names are relative to an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fill(run: Path, **files: str) -> Path:
    """A run folder with files; `last_ckpt="a"` is a last.ckpt that holds an a."""
    run.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (run / name.replace("__", "-").replace("_", ".")).write_text(content)
    return run


def texts(run: Path, pattern: str = "*.ckpt") -> dict[str, str]:
    """The contents of files by name."""
    return {path.name: path.read_text() for path in run.glob(pattern)}


def age(path: Path, seconds: float) -> None:
    """Make a file as old as this."""
    then = time.time() - seconds
    os.utime(path, (then, then))


@contextmanager
def holder(run: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A process that tries to hold a run, and what it says of that."""
    root = str(Path(folder.__file__).parents[3])
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(run)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


# Names and beginnings


def test_a_new_run_is_not_there_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "strftime", lambda form: "20260102-030405")
    names = []
    for _ in range(4):
        run = new_run("resnet18")
        assert not run.exists()
        run.mkdir(parents=True)
        names.append(str(run))
    first = "runs/resnet18-20260102-030405"
    assert names == [first, f"{first}-2", f"{first}-3", f"{first}-4"]
    assert str(new_run("resnet34")) == "runs/resnet34-20260102-030405"


def test_two_new_runs_of_the_same_second_have_two_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "strftime", lambda _: "20260102-030405")
    with locked_new_run("resnet18") as first, locked_new_run("resnet18") as second:
        assert (first.name, second.name) == (
            "resnet18-20260102-030405", "resnet18-20260102-030405-2",
        )  # fmt: skip
        fill(second, best_safetensors="1")
    assert contents(Path("runs")) == [second.name]


def test_nothing_is_left_of_a_new_run_that_did_not_begin() -> None:
    with pytest.raises(VAAError, match="no memory"), locked_new_run("resnet18") as run:
        fill(run, config_json="{}")
        raise VAAError("no memory")
    assert not Path("runs").exists()


def test_a_new_run_tells_the_time() -> None:
    assert re.fullmatch(r"runs/resnet18-\d{8}-\d{6}", str(new_run("resnet18")))
    assert not Path("runs").exists()


def test_a_runs_config_comes_back() -> None:
    config = {"options": {**OPTIONS, "weights": "Straße 日.pth"}, "data": "/d/préparé", "more": 1}
    create_run(RUN, config)
    assert contents(RUN) == ["config.json"]
    assert "Straße" in (RUN / "config.json").read_text(encoding="utf-8")
    assert kept_config(RUN) == (config["options"], "/d/préparé")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"\xff\xfe", b"null", b"3", b"[]", b'"options"', b"{}", b'{"data": "d"}',
        b'{"options": {}}', b'{"options": 3, "data": "d"}', b'{"options": "abc", "data": "d"}',
        b'{"options": {}, "data": 3}', b'{"options": {}, "data": null}',
    ],
)  # fmt: skip
def test_a_broken_config_is_reported(content: bytes) -> None:
    fill(RUN)
    (RUN / "config.json").write_bytes(content)
    with pytest.raises(VAAError) as caught:
        kept_config(RUN)
    message = str(caught.value)
    assert message.startswith(f"{RUN / 'config.json'} is broken (")
    assert len(message.splitlines()) == 1


def test_a_missing_config_is_reported() -> None:
    with pytest.raises(VAAError, match=f"cannot read {RUN / 'config.json'}: No such file"):
        kept_config(RUN)
    (fill(RUN) / "config.json").mkdir()
    with pytest.raises(VAAError, match=f"cannot read {RUN / 'config.json'}: Is a directory"):
        kept_config(RUN)


@pytest.mark.parametrize(
    ("files", "begun", "kept"),
    [
        ([], False, False), ([".lock", "log.csv"], False, False), (["config.json"], True, False),
        (["last.ckpt"], True, True), (["config.json", "best.safetensors"], True, True),
        (["config.json", "step-00000007.ckpt"], True, True),
        (["config.json", "step-7.ckpt.part", "step-x.ckpt", "old-step-7.ckpt"], True, False),
    ],
)  # fmt: skip
def test_what_makes_a_run(files: list[str], begun: bool, kept: bool) -> None:
    fill(RUN)
    for name in files:
        (RUN / name).touch()
    assert has_begun(RUN) is begun
    assert is_kept(RUN) is kept


@pytest.mark.parametrize(
    ("files", "free"),
    [([], True), ([".lock"], True), ([".lock", ".config.json.77.tmp"], True), (["a.txt"], False),
     (["config.json"], False), ([".hidden"], False), ([".lock", "log.csv"], False)],
)  # fmt: skip
def test_where_a_run_can_be_made(files: list[str], free: bool) -> None:
    assert is_free(RUN)
    fill(RUN)
    for name in files:
        (RUN / name).touch()
    assert is_free(RUN) is free
    Path("file").touch()
    assert not is_free(Path("file"))


# The lock


def test_a_run_is_one_processs() -> None:
    with holder(RUN) as (process, said):
        assert said == "locked"
        with pytest.raises(VAAError) as caught, locked(RUN):
            pytest.fail("both are in")
        message = str(caught.value)
        assert message.startswith(f"{RUN} is being trained by another process")
        assert len(message.splitlines()) == 1
        # Another run is free, and the first one's folder is left as it was.
        with locked(Path("runs/second")):
            pass
        assert contents(RUN) == [".lock"]
        process.communicate("")
    assert not RUN.exists()
    with locked(RUN):
        pass


def test_another_process_is_refused_too() -> None:
    with locked(RUN), holder(RUN) as (_, said):
        assert said.startswith(f"{RUN} is being trained by another process")
    with locked(RUN), holder(Path("runs/../runs/first").absolute()) as (_, said):
        assert "is being trained by another process" in said


def test_a_lock_goes_with_a_process_that_is_killed() -> None:
    fill(RUN, last_ckpt="a")
    with holder(RUN) as (process, said):
        assert said == "locked"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert contents(RUN) == [".lock", "last.ckpt"]
        with locked(RUN):
            pass
    assert contents(RUN) == ["last.ckpt"]


def test_what_a_killed_process_left_half_written_is_cleared() -> None:
    others = [
        "last.ckpt", "best.safetensors", "a.123.tmp", ".last.ckpt.tmp", ".last.ckpt.12a.tmp",
        ".last.ckpt.123.tmp.txt", ".hidden", "123.tmp",
    ]  # fmt: skip
    fill(RUN)
    for name in [*others, ".last.ckpt.123.tmp", ".config.json.7.tmp", ".best.safetensors.45.tmp"]:
        (RUN / name).touch()
    (RUN / "aside").mkdir()
    (RUN / "aside" / ".last.ckpt.123.tmp").touch()
    with locked(RUN):
        assert contents(RUN) == sorted([*others, ".lock", "aside"])
    assert contents(RUN) == sorted([*others, "aside"])
    assert contents(RUN / "aside") == [".last.ckpt.123.tmp"]


def test_who_is_refused_clears_nothing() -> None:
    # What looks left behind is being written.
    with holder(RUN):
        (RUN / ".last.ckpt.123.tmp").touch()
        with pytest.raises(VAAError), locked(RUN):
            pass
        assert contents(RUN) == [".last.ckpt.123.tmp", ".lock"]


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("run", ["runs/first", "deep/er/still", "plain"])
def test_an_unstarted_run_leaves_nothing(
    here: Path, run: str, error: type[BaseException] | None
) -> None:
    try:
        with locked(Path(run)):
            create_run(Path(run), CONFIG)
            for name in ("log.csv", "faults.csv", "events.out.tfevents.1.host.2.0"):
                (Path(run) / name).touch()
            if error is not None:
                raise error
    except (ValueError, KeyboardInterrupt) as caught:
        assert type(caught) is error
    assert contents(here) == []


def test_folders_that_were_there_stay(here: Path) -> None:
    fill(Path("runs"))
    with locked(RUN):
        create_run(RUN, CONFIG)
    assert contents(here) == ["runs"]
    fill(RUN)
    with locked(RUN):
        create_run(RUN, CONFIG)
    assert contents(Path("runs")) == ["first"]
    assert contents(RUN) == []


def test_a_folder_with_a_foreign_file_stays() -> None:
    with locked(RUN):
        create_run(RUN, CONFIG)
        fill(RUN, notes_txt="mine")
    assert texts(RUN, "*") == {"notes.txt": "mine"}


def test_a_foreign_file_beside_keeps_the_folders_above() -> None:
    with locked(Path("a/b/c")):
        Path("a/notes.txt").touch()
    assert contents(Path("a")) == ["notes.txt"]


@pytest.mark.parametrize("name", ["last.ckpt", "best.safetensors", "step-00000003.ckpt"])
@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_a_started_run_stays(name: str, error: type[BaseException] | None) -> None:
    try:
        with locked(RUN):
            create_run(RUN, CONFIG)
            for file in (name, "log.csv", "faults.csv", "events.out.tfevents.1.host.2.0"):
                (RUN / file).touch()
            if error is not None:
                raise error
    except KeyboardInterrupt:
        pass
    expected = ["config.json", "events.out.tfevents.1.host.2.0", "faults.csv", "log.csv", name]
    assert contents(RUN) == sorted(expected)


def test_a_run_that_is_a_file_or_in_one_is_reported() -> None:
    Path("file").touch()
    for run in (Path("file"), Path("file/run")):
        with pytest.raises(VAAError, match=f"^cannot write {run}"), locked(run):
            pytest.fail("there is no folder")


# Checkpoints


@pytest.fixture(params=["link", "no links"])
def disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A disk with hard links, and one without."""

    def refuse(*args: object, **named: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if request.param == "no links":
        monkeypatch.setattr(os, "link", refuse)
    return str(request.param)


def save(run: Path, step: int, last: int | None, keep: int) -> None:
    """Save a checkpoint as a training does; it holds its step."""
    if last is not None:
        keep_earlier(run, last, keep)
    (run / ".beside").write_text(str(step))
    os.replace(run / ".beside", run / "last.ckpt")


def expected_checkpoints(steps: list[int], keep: int) -> dict[str, str]:
    """The newest `keep` of those that were saved: the newest is last.ckpt."""
    *earlier, last = steps[-keep:]
    return {**{f"step-{step:08d}.ckpt": str(step) for step in earlier}, "last.ckpt": str(last)}


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_as_many_checkpoints_stay_as_asked(keep: int, disk: str) -> None:
    fill(RUN, best_safetensors="b")
    steps = [3, 9, 10, 11, 100, 2000]
    for i, step in enumerate(steps):
        save(RUN, step, steps[i - 1] if i else None, keep)
        assert texts(RUN) == expected_checkpoints(steps[: i + 1], keep)
    assert [path.name for path in earlier_checkpoints(RUN)] == sorted(
        name for name in expected_checkpoints(steps, keep) if name != "last.ckpt"
    )
    assert texts(RUN, "best*") == {"best.safetensors": "b"}


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    gaps=st.lists(st.integers(1, 10**6), min_size=1, max_size=8),
    keeps=st.lists(st.integers(1, 4), min_size=1, max_size=3),
)
def test_how_many_stay_can_change(
    tmp_path_factory: pytest.TempPathFactory, gaps: list[int], keeps: list[int]
) -> None:
    run = tmp_path_factory.mktemp("run")
    step, last, there = 0, None, list[int]()
    for i, gap in enumerate(gaps):
        step, keep = step + gap, keeps[i % len(keeps)]
        save(run, step, last, keep)
        last, there = step, [*there, step][-keep:] if there else [step]
        assert texts(run) == expected_checkpoints(there, len(there))


@pytest.mark.parametrize("keep", [1, 2])
def test_the_last_checkpoint_is_there_until_the_next(keep: int) -> None:
    fill(RUN, last_ckpt="7", step__00000003_ckpt="3")
    keep_earlier(RUN, 7, keep)
    assert (RUN / "last.ckpt").read_text() == "7"


def test_the_same_step_again_takes_the_place_of_the_first(disk: str) -> None:
    fill(RUN, last_ckpt="new", step__00000007_ckpt="old")
    keep_earlier(RUN, 7, 2)
    assert (RUN / "step-00000007.ckpt").read_text() == "new"
    # Where there are hard links, last.ckpt is there all the time.
    assert (RUN / "last.ckpt").exists() is (disk == "link")


def test_nothing_is_kept_where_nothing_is() -> None:
    fill(RUN)
    keep_earlier(RUN, 7, 3)
    assert contents(RUN) == []


def test_a_checkpoint_under_its_own_name_is_not_the_next_one(disk: str) -> None:
    fill(RUN, last_ckpt="3")
    save(RUN, 5, 3, 2)
    (RUN / ".beside").write_text("6")
    os.replace(RUN / ".beside", RUN / "last.ckpt")
    assert texts(RUN) == {"step-00000003.ckpt": "3", "last.ckpt": "6"}


def test_checkpoints_that_cannot_be_kept_are_reported() -> None:
    fill(RUN, last_ckpt="3")
    (RUN / "step-00000003.ckpt").mkdir()
    with pytest.raises(VAAError, match=f"^cannot write {RUN}: "):
        keep_earlier(RUN, 3, 2)
    assert (RUN / "last.ckpt").read_text() == "3"


def earlier_run() -> Path:
    """A run with three earlier checkpoints and a last one, each holding its step."""
    for step in (3, 20, 100):
        fill(RUN, **{f"step__{step:08d}_ckpt": str(step)})
    return fill(RUN, last_ckpt="400", best_safetensors="b", log_csv="l")


def test_going_on_from_the_last_changes_nothing() -> None:
    before = texts(earlier_run(), "*")
    assert go_back(RUN, RUN / "last.ckpt") is None
    assert texts(RUN, "*") == before


@pytest.mark.parametrize(
    ("step", "later"), [(3, [20, 100]), (20, [100]), (100, [])], ids=["first", "second", "third"]
)
def test_going_back_sets_later_checkpoints_aside(step: int, later: list[int]) -> None:
    name = f"step-{step:08d}.ckpt"
    aside = go_back(earlier_run(), RUN / name)
    assert aside is not None and aside.parent == RUN and aside.name.startswith("aside-")
    assert texts(aside, "*") == {
        "last.ckpt": "400", **{f"step-{other:08d}.ckpt": str(other) for other in later}
    }  # fmt: skip
    there = texts(RUN)
    assert there["last.ckpt"] == there[name] == str(step)
    assert set(there) == {"last.ckpt"} | {
        f"step-{other:08d}.ckpt" for other in (3, 20, 100) if other <= step
    }
    assert contents(RUN) == sorted([*there, aside.name, "best.safetensors", "log.csv"])
    # They are two files: what is written to one does not change the other.
    assert not os.path.samefile(RUN / "last.ckpt", RUN / name)
    assert resume_point(RUN).checkpoint == RUN / "last.ckpt"


def test_going_back_where_there_is_no_last_one() -> None:
    (earlier_run() / "last.ckpt").unlink()
    aside = go_back(RUN, RUN / "step-00000020.ckpt")
    assert aside is not None and texts(aside, "*") == {"step-00000100.ckpt": "100"}
    assert (RUN / "last.ckpt").read_text() == "20"


def test_going_back_is_not_undone_by_going_on(disk: str) -> None:
    go_back(earlier_run(), RUN / "step-00000020.ckpt")
    save(RUN, 21, 20, 3)
    assert texts(RUN) == {
        "step-00000003.ckpt": "3", "step-00000020.ckpt": "20", "last.ckpt": "21"
    }  # fmt: skip


# Which run is meant


def begun(name: str, seconds: float, **files: str) -> Path:
    """A run whose files are so old."""
    run = fill(Path("runs") / name, config_json="{}", **files)
    for path in run.iterdir():
        age(path, seconds)
    return run


def test_the_newest_run_goes_on() -> None:
    begun("z", 300, last_ckpt="")
    newest = begun("a", 100, last_ckpt="")
    begun("m", 200, last_ckpt="")
    fill(Path("runs/newer"), notes_txt="")  # no run
    Path("runs/file").touch()
    point = resume_point(None)
    assert (point.run, point.checkpoint) == (newest, newest / "last.ckpt")


def test_the_newest_run_is_the_one_last_written() -> None:
    old = begun("started-first", 900, last_ckpt="")
    begun("started-later", 500, last_ckpt="")
    age(old / "last.ckpt", 10)
    assert resume_point(None).run == old
    fresh = begun("just-started", 5)
    assert (resume_point(None).run, resume_point(None).checkpoint) == (fresh, None)


def test_the_newest_run_goes_by_its_own_name() -> None:
    run = begun("a", 100, last_ckpt="")
    mark_latest(run)
    assert resume_point(None).run == run


@pytest.mark.parametrize("place", ["nowhere", "empty", "others"])
def test_no_run_to_go_on_with(place: str) -> None:
    if place != "nowhere":
        Path("runs").mkdir()
    if place == "others":
        fill(Path("runs/trained"), best_safetensors="", log_csv="")
        Path("runs/config.json").touch()
    with pytest.raises(VAAError, match=r"no run to resume in \./runs; .*vaa train"):
        resume_point(None)


def test_a_run_that_is_named() -> None:
    run = begun("a", 100, last_ckpt="", step__00000003_ckpt="")
    begun("newer", 1, last_ckpt="")
    point = resume_point(run)
    assert (point.run, point.checkpoint) == (run, run / "last.ckpt")
    moved = run.rename("elsewhere")
    assert resume_point(moved).checkpoint == moved / "last.ckpt"


@pytest.mark.parametrize("name", ["step-00000003.ckpt", "last.ckpt"])
def test_a_checkpoint_that_is_named(name: str) -> None:
    run = begun("a", 100, last_ckpt="", step__00000003_ckpt="")
    point = resume_point(run / name)
    assert (point.run, point.checkpoint) == (run, run / name)


def test_only_earlier_checkpoints_left() -> None:
    run = begun("a", 100, step__00000003_ckpt="", step__00000020_ckpt="", best_safetensors="")
    assert resume_point(run).checkpoint == run / "step-00000020.ckpt"
    assert resume_point(None).checkpoint == run / "step-00000020.ckpt"


def test_a_run_before_its_first_checkpoint() -> None:
    run = begun("a", 100)
    assert (resume_point(run).run, resume_point(run).checkpoint) == (run, None)


def test_what_is_no_run_is_reported() -> None:
    fill(Path("prepared"), labels_csv="", best_safetensors="")
    for target, message in (
        ("runs/none", "runs/none: no such run folder"),
        ("runs/none/last.ckpt", "runs/none/last.ckpt: no such run folder"),
        ("prepared", "prepared is no run folder (no config.json); name one that"),
        ("prepared/labels.csv", "prepared/labels.csv is no checkpoint; name a run folder"),
        ("prepared/best.safetensors", "prepared/best.safetensors is no checkpoint"),
    ):
        with pytest.raises(VAAError) as caught:
            resume_point(Path(target))
        assert str(caught.value).startswith(message)


def test_the_model_of_the_latest_run() -> None:
    first, second = fill(RUN, best_safetensors="1"), fill(Path("runs/b"), best_safetensors="2")
    mark_latest(first)
    assert model_file(None) == first / "best.safetensors"
    mark_latest(second)
    assert model_file(None) == second / "best.safetensors"
    mark_latest(first)  # whichever is marked, not the newest
    assert model_file(None).read_text() == "1"
    assert contents(Path("runs")) == ["b", "first", "latest"]


def test_the_latest_run_moves_with_its_folder(here: Path) -> None:
    mark_latest(fill(here / "runs" / "a", best_safetensors="1"))  # by its whole path
    assert not os.path.isabs(os.readlink("runs/latest"))
    Path("runs").rename("runs-of-old")
    Path("new").mkdir()
    Path("runs-of-old").rename("new/runs")
    os.chdir("new")
    assert model_file(None).read_text() == "1"


def test_a_run_elsewhere_is_not_the_latest() -> None:
    for run in ("elsewhere/a", "runs/deep/a", "a"):
        mark_latest(fill(Path(run), best_safetensors=""))
        assert not Path("runs/latest").is_symlink()


def test_a_resumed_run_named_by_its_link() -> None:
    run = fill(RUN, best_safetensors="", config_json="{}")
    mark_latest(run)
    assert resume_point(Path("runs/latest")).run == run
    mark_latest(Path("runs/latest"))
    assert Path("runs/latest").resolve() == run.resolve()


def test_what_is_no_link_stays_where_the_link_would_be() -> None:
    fill(Path("runs/latest"), mine_txt="")
    mark_latest(fill(RUN, best_safetensors="1"))
    assert contents(Path("runs/latest")) == ["mine.txt"]
    assert model_file(None) == RUN / "best.safetensors"


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EPERM, errno.ENOSYS])
def test_a_file_system_without_links(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "symlink_to", refuse)
    for age, name in ((20, "b"), (10, "a"), (30, "c")):
        mark_latest(fill(Path("runs") / name, best_safetensors=""))
        os.utime(f"runs/{name}/best.safetensors", (time.time() - age,) * 2)
    assert contents(Path("runs")) == ["a", "b", "c"]
    assert model_file(None) == Path("runs/a/best.safetensors")


def test_a_link_to_a_run_that_is_gone_leads_to_the_newest() -> None:
    mark_latest(fill(RUN, best_safetensors=""))
    RUN.rename("runs/moved")
    assert model_file(None) == Path("runs/moved/best.safetensors")


def test_the_model_of_a_run_that_is_named() -> None:
    fill(RUN, best_safetensors="", other_safetensors="")
    assert model_file(RUN) == RUN / "best.safetensors"
    for name in ("best.safetensors", "other.safetensors"):
        assert model_file(RUN / name) == RUN / name


def test_no_model_is_reported() -> None:
    fill(RUN, last_ckpt="")
    mark_latest(RUN)
    for run, message in (
        (None, "no trained run in ./runs"),
        (RUN, f"{RUN} has no best.safetensors"),
        (Path("runs/none"), "runs/none: no such run folder or model file"),
    ):
        with pytest.raises(VAAError) as caught:
            model_file(run)
        assert str(caught.value).startswith(message)


@pytest.mark.parametrize("place", ["nowhere", "untrained", "gone"])
def test_no_trained_run_is_reported(place: str) -> None:
    if place != "nowhere":
        fill(RUN, config_json="{}")
    if place == "gone":
        mark_latest(RUN)
        RUN.rename("elsewhere")
    with pytest.raises(VAAError, match=r"no trained run in \./runs; .*vaa train.*`run`"):
        model_file(None)
