"""What becomes of a journal where the disk does not take it: full, limited, read-only, or no disk at all."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from journal.kit import entries, message, only, open_journal, read_texts, run, texts
from synapse_otel.journal.memory import MEMORY_SEGMENT
from synapse_otel.journal.reader import START, Position

NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]
MOUNT = """
import subprocess
def mount(options, where=sys.argv[1]):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", where], check=True)
"""


def can_mount() -> bool:
    try:
        command = [*NAMESPACE, "mount", "-t", "tmpfs", "none", "/mnt"]
        return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


needs_mount = pytest.mark.skipif(
    not can_mount(), reason="NOT TESTED HERE: a full and a read-only disk, for want of unshare or mount in a namespace"
)

WRITE = """
said = []
journal = open_journal(Path(sys.argv[1]) / "root", first_segment=64 * 1024, segment=64 * 1024, on_degraded=said.append)
after_opening = len(said)
for number in range(5000):
    journal.append(message(f"{number} " + "x" * 60))
    if number % 50 == 0: journal.prepare()
position, found = START, []
while (batch := journal.read(position, 1000, 10**6)).entries:
    position = batch.after
    assert batch.missing == 0
    found += [entry.seq for entry in batch.entries if texts([entry])[0].split()[0] == str(entry.seq)]
assert found == list(range(5000)), (len(found), found[:3])
on_disk = read_texts(journal.path) if journal.path else []
assert [int(text.split()[0]) for text in on_disk] == list(range(len(on_disk)))
journal.close()
spares = journal.path and journal.path.spares()
print(after_opening, [error.errno for error in said], journal.degraded in said, len(on_disk), spares)
"""


@needs_mount
@pytest.mark.parametrize(
    ("size", "expected"),
    [("16k", "1 [28] True 0 []"), ("200k", "0 [28] True 1"), ("128m", "0 [] False 5000 []")],
    ids=["from the first byte", "later", "never"],
)
def test_a_full_disk_is_gone_on_with_in_memory(tmp_path: Path, size: str, expected: str) -> None:
    """From the moment the disk is full records are kept in memory, which is said once; nothing before is lost."""
    output = run(MOUNT + f"mount('size={size}')\n" + WRITE, tmp_path, before=NAMESPACE)
    assert output.startswith(expected)
    assert output.endswith("[]\n")


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(0, "1 [27] True 0 []\n"), (32 * 1024, "1 [27] True 0 []\n")],
    ids=["nothing", "less than a segment"],
)
def test_a_limit_of_file_sizes_is_gone_on_with_in_memory(tmp_path: Path, limit: int, expected: str) -> None:
    """Where the limit of the process allows no segment, the process goes on, with its records in memory."""
    code = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
    assert run(code + WRITE, tmp_path) == expected


def test_a_limit_that_comes_later_loses_nothing(tmp_path: Path) -> None:
    """Records before the limit stay on the disk, those after it are in memory, in one sequence."""
    code = WRITE.replace(
        "    if number % 50",
        "    if number == 1500:\n"
        "        import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "    if number % 50",
    )
    after_opening, *said, kept, spares = run(code, tmp_path).split()
    assert (after_opening, said, spares) == ("0", ["[27]", "True"], "[]")
    assert 1500 <= int(kept) < 2600
    assert len(read_texts(only(tmp_path / "root"))) == int(kept)


@needs_mount
def test_a_read_only_disk_is_gone_on_with_in_memory(tmp_path: Path) -> None:
    """On a read-only file system the journal is in memory from the beginning, which is said once."""
    output = run(MOUNT + "mount('ro')\n" + WRITE, tmp_path, before=NAMESPACE)
    assert output == "1 [30] True 0 None\n"


def test_a_directory_without_permission_is_gone_on_with_in_memory(tmp_path: Path) -> None:
    """An ordinary user who may not write there has the journal in memory."""
    drop = """
        os.chmod(sys.argv[1], 0o555)
        if os.getuid() == 0:
            for parent in Path(sys.argv[1]).parents: parent.chmod(parent.stat().st_mode | 0o055)
            os.setgid(65534); os.setuid(65534)
    """
    import textwrap

    assert run(textwrap.dedent(drop) + WRITE, tmp_path) == "1 [13] True 0 None\n"


def test_a_file_in_the_place_of_the_directory_is_gone_on_with_in_memory(tmp_path: Path) -> None:
    """Where there is no directory the journal is in memory: the same interface, nothing on the disk."""
    (tmp_path / "root").write_bytes(b"precious")
    said: list[OSError] = []
    journal = open_journal(tmp_path / "root", on_degraded=said.append)
    for number in range(3):
        journal.append(message(number))
    assert said == [journal.degraded]
    assert (journal.path, journal.next_seq, journal.current_segment()) == (None, 3, 0)
    found = journal.read(START, 2, 10**6)
    assert (texts(found.entries), found.after) == (["0", "1"], Position(MEMORY_SEGMENT, 0, 2))
    assert texts(journal.read(found.after, 2, 10**6).entries) == ["2"]
    journal.release(2)
    assert texts(journal.read(START, 9, 10**6).entries) == ["2"]
    journal.prepare()
    journal.close()
    with pytest.raises(RuntimeError, match="closed"):
        journal.append(message("late"))
    assert (tmp_path / "root").read_bytes() == b"precious"


def test_memory_stays_bounded_and_what_goes_is_counted(tmp_path: Path) -> None:
    """However long a run without a disk is, memory is bounded, and how many records went is known by kind."""
    (tmp_path / "root").touch()
    journal = open_journal(tmp_path / "root", memory=100_000)
    for number in range(5000):
        journal.append(message(number))
    found = journal.read(START, 10**9, 2**62)
    assert journal.memory
    kept = len(found.entries)
    assert (found.size <= 100_000, journal.memory.dropped) == (True, {"message": 5000 - kept})
    assert (texts(found.entries), found.missing) == ([str(number) for number in range(5000 - kept, 5000)], 0)
    assert journal.next_seq == 5000
    journal.close()


def test_a_callback_may_record(tmp_path: Path) -> None:
    """What is called when the journal degrades runs without its lock and may append from any thread."""
    output = run(
        """
        (Path(sys.argv[1]) / "root").touch()
        def say(error):
            thread = threading.Thread(target=lambda: journal and journal.append(message("said")))
            thread.start(); thread.join(5)
            assert not thread.is_alive()
        journal = None
        root = Path(sys.argv[1]) / "disk"
        journal = open_journal(root, first_segment=SMALL, segment=SMALL, on_degraded=say)
        import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        for number in range(100): journal.append(message(number))
        print(texts(journal.memory and journal.read(START, 999, 10**6).entries).count("said"), journal.next_seq)
        """,
        tmp_path,
    )
    assert output == "0 101\n"


def test_a_segment_that_somebody_planted_is_written_over_and_not_through(tmp_path: Path) -> None:
    """A link in the place of the next segment is replaced; what it leads to stays as it is."""
    journal = open_journal(tmp_path / "root", first_segment=1000, segment=1000)
    (tmp_path / "target").write_bytes(b"precious")
    assert journal.path
    journal.path.segment(2).symlink_to(tmp_path / "target")
    for number in range(30):
        journal.append(message(number))
    journal.close()
    assert [entry.seq for entry in entries(journal.path)] == list(range(30))
    assert (tmp_path / "target").read_bytes() == b"precious"


def test_what_cannot_be_read_for_a_moment_is_not_passed_over(tmp_path: Path) -> None:
    """Where there are no file descriptors, a reader does not go on with what is in memory, but comes again."""
    code = """
        import resource
        journal = open_journal(Path(sys.argv[1]), first_segment=SMALL, segment=SMALL)
        for number in range(300): journal.append(message(number))
        journal.path.segment(journal.current_segment()).unlink()
        journal.prepare()
        assert journal.memory and len(journal.path.segments()) > 1
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        print(journal.read(START, 1000, 10**6).entries)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        position, found, missing = START, [], 0
        while (batch := journal.read(position, 1000, 10**6)).entries:
            position, missing = batch.after, missing + batch.missing
            found += texts(batch.entries)
        print(found == list(map(str, range(300))), missing)
    """
    assert run(code, tmp_path) == "[]\nTrue 0\n"
