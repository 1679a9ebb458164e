from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journal.kit import exhaustive, open_journal, run, start, written
from synapse_otel.journal import directory
from synapse_otel.journal.directory import JournalPath, create_journal, escape, journals, run_name

ANY_TEXT = st.text(st.characters(codec=None), max_size=60)  # lone surrogates among it


@given(ANY_TEXT | st.text(alphabet="./\\~%\0 \n:", max_size=20) | st.text(min_size=100, max_size=400))
@exhaustive
def test_any_text_is_one_safe_path_component(name: str) -> None:
    """Whatever the job id, the run's directory is one visible, portable, not too long name inside the root."""
    found = run_name(name, b"\xab" * 16)
    assert found.isascii()
    assert set(found) <= set(map(chr, directory._PLAIN)) | {"%", "~"}
    assert not found.startswith(".")
    assert len(found) <= 120
    assert Path("/root", found).parent == Path("/root")
    assert found not in {".", ".."}


@given(ANY_TEXT, ANY_TEXT)
@exhaustive
def test_different_names_stay_different(one: str, other: str) -> None:
    """Two names never share a directory."""
    assert (escape(one) == escape(other)) == (one == other)


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("job-1_a.B", "job-1_a.B"),
        ("", ""),
        ("..", "%2E."),
        ("a/../b", "a%2F..%2Fb"),
        ("é~ ", "%C3%A9%7E%20"),
        ("\ud800", "%ED%A0%80"),
        ("x" * 100, "x" * 100),
        ("x" * 101, "x" * 83 + "~d8fe8ef87ef7ffae"),
    ],
)
def test_names_are_escaped_like_this(name: str, escaped: str) -> None:
    """A run can be found by eye: plain ids are unchanged, the rest is percent-encoded, long ones end in a digest."""
    import hashlib

    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    assert escape(name) == (escaped if len(name) <= 100 else "x" * 83 + "~" + digest)


def test_long_names_with_the_same_beginning_stay_different() -> None:
    """What is cut from a long name goes into a digest, and no short name looks like a cut one."""
    assert escape("x" * 200) != escape("x" * 201) != escape("x" * 100)
    assert escape(escape("x" * 200)) != escape("x" * 200)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_everything_is_the_owners_only(tmp_path: Path, umask: int) -> None:
    """Directories are 0700 and files 0600, whatever the umask, also those above the root that did not exist."""
    old = os.umask(umask)
    try:
        journal = open_journal(tmp_path / "state" / "root")
        journal.prepare()
    finally:
        os.umask(old)
    assert journal.path
    modes = {stat.S_IMODE(path.lstat().st_mode) for path in (tmp_path / "state").rglob("*") if path.is_dir()}
    files = {stat.S_IMODE(path.lstat().st_mode) for path in (tmp_path / "state").rglob("*") if path.is_file()}
    assert (stat.S_IMODE((tmp_path / "state").stat().st_mode), modes, files) == (0o700, {0o700}, {0o600})
    journal.close()


def test_everything_is_the_owners_only_for_an_ordinary_user(tmp_path: Path) -> None:
    """The most hostile umask does not lock an ordinary user out of the own journal."""
    run(
        """
        if os.getuid() == 0:
            os.chown(sys.argv[1], 65534, 65534)
            for parent in Path(sys.argv[1]).parents: parent.chmod(parent.stat().st_mode | 0o055)
            os.setgid(65534); os.setuid(65534)
        os.umask(0o777)
        root = Path(sys.argv[1]) / "a" / "b"
        path = written(root, [message("hello")], first_segment=SMALL)
        assert read_texts(only(root)) == ["hello"], path
        """,
        tmp_path,
    )


def test_a_root_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    """The permissions that somebody gave to the journal directory are not changed, and it may be a link."""
    (tmp_path / "real").mkdir(mode=0o755)
    (tmp_path / "root").symlink_to(tmp_path / "real")
    path = written(tmp_path / "root", [])
    assert stat.S_IMODE((tmp_path / "real").stat().st_mode) == 0o755
    assert list(journals(tmp_path / "root")) == [path]


@pytest.mark.parametrize("planted", ["link to a directory", "dangling link", "file"])
def test_nothing_is_written_through_what_was_planted(tmp_path: Path, planted: str) -> None:
    """A link or a file in the place of a run is refused: the journal stays in memory, the target as it is."""
    root, target = tmp_path / "root", tmp_path / "target"
    root.mkdir()
    run_directory = root / run_name("job-1", b"t" * 16)
    if planted == "file":
        run_directory.write_bytes(b"precious")
    else:
        run_directory.symlink_to(target)
        if planted == "link to a directory":
            target.mkdir()
    journal = open_journal(root)
    assert isinstance(journal.degraded, OSError)
    assert (journal.path, list(root.iterdir())) == (None, [run_directory])
    assert not target.exists() or list(target.iterdir()) == []
    journal.close()


def test_links_are_no_runs_and_no_journals(tmp_path: Path) -> None:
    """Whoever lists runs and journals does not walk through links, hidden directories and files."""
    path = written(tmp_path / "elsewhere", [])
    root = tmp_path / "root"
    own = written(root, [])
    (root / "link").symlink_to(path.run)
    (own.run / "link").symlink_to(path.path)
    (own.run / ".hidden").mkdir()
    (own.run / "file").touch()
    assert list(journals(root)) == [own]
    assert list(journals(root / "nowhere")) == []


def test_two_processes_of_one_job_have_a_journal_each(tmp_path: Path) -> None:
    """Processes that share job, trace and directory share the run, and nothing else."""
    code = """
        journal = open_journal(Path(sys.argv[1]), segment=SMALL, first_segment=SMALL)
        for number in range(300): journal.append(message(f"{sys.argv[2]} {number}"))
    """
    processes = [start(code, tmp_path, name) for name in "ab"]
    assert [process.wait(30) for process in processes] == [0, 0]
    for process in processes:
        process.communicate()
    from journal.kit import read_texts

    found = sorted(read_texts(path) for path in journals(tmp_path))
    assert found == [[f"{name} {number}" for number in range(300)] for name in "ab"]
    assert len({path.run for path in journals(tmp_path)}) == 1


def test_a_journal_is_opened_while_the_last_other_one_is_removed(tmp_path: Path) -> None:
    """Removing the last journal of a run, and with it the run's directory, is never in the way of a new journal."""
    output = run(
        """
        stop = threading.Event()
        def churn():
            while not stop.is_set():
                path, lock = create_journal(Path(sys.argv[1]), "run", new_journal_id())
                lock.release()
                path.remove()
        threads = [threading.Thread(target=churn) for _ in range(3)]
        for thread in threads: thread.start()
        for _ in range(100):
            path, lock = create_journal(Path(sys.argv[1]), "run", new_journal_id())
            assert path.is_live()
            lock.release()
            path.remove()
        stop.set()
        for thread in threads: thread.join()
        print(os.listdir(sys.argv[1]))
        """,
        tmp_path,
    )
    assert output == "[]\n"


def test_a_journal_is_removed_at_once(tmp_path: Path) -> None:
    """Nobody sees a part of a journal that is being removed; the run's directory goes with the last one."""
    first = written(tmp_path, [])
    second = written(tmp_path, [])
    first.remove()
    assert (list(journals(tmp_path)), first.run.exists()) == ([second], True)
    second.remove()
    assert list(tmp_path.iterdir()) == []
    second.remove()


def test_what_a_killed_process_left_half_done_is_removed(tmp_path: Path) -> None:
    """Hidden directories go when they are old, and not before."""
    path = written(tmp_path, [])
    old, new = path.run / ".old", path.run / ".new"
    for hidden in (old, new):
        hidden.mkdir()
        (hidden / "lock").touch()
    os.utime(old, (time.time() - 4000,) * 2)
    directory.remove_abandoned(tmp_path)
    assert sorted(os.listdir(path.run)) == [".new", path.journal_id]


def test_only_segments_count_as_segments(tmp_path: Path) -> None:
    """Files with names that merely look like those of segments are passed over."""
    names = ["00000001.seg", "00000012.seg", "123456789.seg", "2147483649.seg"]
    others = [
        "00000000.seg",
        "1.seg",
        "000000001.seg",
        "00000002.seg.new",
        "0000000x.seg",
        "²²²²²²²².seg",
        "00000003.SEG",
    ]
    for name in (*names, *others, "00000004.seg\n"):
        (tmp_path / name).touch()
    path = JournalPath(tmp_path)
    assert path.segments() == [1, 12, 123456789, 2147483649]
    assert [path.segment(index).name for index in path.segments()] == names


def test_a_journal_says_its_size_and_age(tmp_path: Path) -> None:
    """The size is what the files occupy, and the age that of the newest file; a journal that is gone has a size too."""
    path = JournalPath(tmp_path / "journal")
    assert path.size() == 0
    path.path.mkdir()
    path.segment(1).write_bytes(b"x" * 10_000)
    path.segment(2).symlink_to("/proc/kcore")
    os.utime(path.segment(1), (1000.0, 1000.0))
    os.utime(path.segment(2), (500.0, 500.0), follow_symlinks=False)
    assert (path.size(), path.written()) == (path.segment(1).stat().st_blocks * 512, 1000.0)


def test_a_journal_that_cannot_be_locked_leaves_nothing(tmp_path: Path) -> None:
    """Where creating a journal fails, what was created so far is removed."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "taken").mkdir()
    (tmp_path / "run" / "taken" / "file").touch()
    with pytest.raises(OSError, match="not empty"):
        create_journal(tmp_path, "run", "taken")
    assert os.listdir(tmp_path / "run") == ["taken"]
