from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from journal.kit import run, start
from synapse_otel.journal.locks import FileLock, is_locked, open_private, open_to_read, replace_file


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    """Of two only one gets the lock, whoever has it keeps it when it asks again, and giving it back frees it."""
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert [first.acquire(), first.acquire(), second.acquire(), is_locked(tmp_path / "lock")] == [
        True,
        True,
        False,
        True,
    ]
    first.release()
    first.release()
    assert [is_locked(tmp_path / "lock"), second.acquire(), first.acquire()] == [False, True, False]
    second.release()


def test_what_is_not_there_is_not_locked(tmp_path: Path) -> None:
    """Looking for a lock creates no file, and a lock in a directory that is not there is an error."""
    assert not is_locked(tmp_path / "lock")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        FileLock(tmp_path / "nowhere" / "lock").acquire()


def test_the_kernel_releases_the_lock_of_a_killed_process(tmp_path: Path) -> None:
    """A lock is held while its process lives, also in the view of others, and is free after SIGKILL."""
    process = start(
        "lock = FileLock(Path(sys.argv[1])); lock.acquire(); print('held', flush=True); time.sleep(60)",
        tmp_path / "lock",
    )
    assert process.stdout
    process.stdout.readline()
    assert (is_locked(tmp_path / "lock"), FileLock(tmp_path / "lock").acquire()) == (True, False)
    process.kill()
    process.communicate()
    assert not is_locked(tmp_path / "lock")


def test_probes_do_not_keep_anybody_from_a_free_lock(tmp_path: Path) -> None:
    """Whoever wants a free lock gets it, however many look at it all the time."""
    lock, stop = FileLock(tmp_path / "lock"), threading.Event()
    lock.acquire()
    lock.release()

    def probe() -> None:
        while not stop.is_set():
            is_locked(tmp_path / "lock")

    probers = [threading.Thread(target=probe) for _ in range(3)]
    for prober in probers:
        prober.start()
    taken = []
    for _ in range(200):
        taken.append(lock.acquire())
        lock.release()
    stop.set()
    for prober in probers:
        prober.join()
    assert taken == [True] * 200


def test_a_forked_child_does_not_keep_its_parents_lock(tmp_path: Path) -> None:
    """The lock of a dead process is free although a child that it forked lives on."""
    output = run(
        """
        ready, go = os.pipe()
        middle = os.fork()
        if middle == 0:
            lock = FileLock(Path(sys.argv[1]))
            lock.acquire()
            child = os.fork()
            if child == 0:
                os.close(1)
                os.write(go, b"x")
            time.sleep(20)
            os._exit(0)
        os.read(ready, 1)
        assert is_locked(Path(sys.argv[1]))
        os.kill(middle, signal.SIGKILL)
        os.waitpid(middle, 0)
        print(FileLock(Path(sys.argv[1])).acquire())
        """,
        tmp_path / "lock",
    )
    assert output == "True\n"


def test_forks_at_any_moment_leave_no_lock_behind(tmp_path: Path) -> None:
    """Children forked by one thread while others take, give back and probe locks hold none of them."""
    run(
        """
        stop = threading.Event()
        def churn(number):
            while not stop.is_set():
                lock = FileLock(Path(sys.argv[1]) / str(number))
                assert lock.acquire()
                is_locked(Path(sys.argv[1]) / str(number))
                lock.release()
        threads = [threading.Thread(target=churn, args=(number,)) for number in range(3)]
        for thread in threads: thread.start()
        children = []
        for _ in range(40):
            child = os.fork()
            if child == 0:
                time.sleep(20); os._exit(0)
            children.append(child)
        stop.set()
        for thread in threads: thread.join()
        assert [is_locked(Path(sys.argv[1]) / str(number)) for number in range(3)] == [False] * 3
        assert all(FileLock(Path(sys.argv[1]) / str(number)).acquire() for number in range(3))
        for child in children:
            os.kill(child, 9); os.waitpid(child, 0)
        """,
        tmp_path,
    )


NO_LOCKS = """
import ctypes, errno, platform, struct

def without_flock():
    "Make flock fail in this process as on a file system without locks, by a filter in the kernel."
    number = {"x86_64": 73, "aarch64": 32}[platform.machine()]
    steps = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | errno.ENOSYS), (0x06, 0, 0, 0x7FFF0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0, ctypes.get_errno()
without_flock()
"""


@pytest.mark.skipif(os.uname().machine not in {"x86_64", "aarch64"}, reason="the number of flock is not known here")
def test_without_locks_the_file_is_the_lock(tmp_path: Path) -> None:
    """On a file system without locks nobody takes a living run's journal for an orphan, but one that was closed."""
    output = run(
        NO_LOCKS
        + """
journal = open_journal(Path(sys.argv[1]))
journal.append(message("hello"))
lock, other = FileLock(journal.path.shipping_lock), FileLock(journal.path.shipping_lock)
print(journal.degraded, journal.path.is_live(), lock.acquire(), other.acquire(), is_locked(journal.path.shipping_lock))
print(close_crashed(journal.path))
print(enforce(Path(sys.argv[1]), Quota(0, -1.0)), read_texts(journal.path))
lock.release()
journal.close()
print(journal.path.is_live(), other.acquire(), lock.acquire(), close_crashed(journal.path), close_crashed(journal.path))
""",
        tmp_path,
    )
    assert output == "None True True False True\nFalse\nCounter() ['hello']\nFalse True False True False\n"


def test_private_files_are_the_owners_only(tmp_path: Path) -> None:
    """Whatever the umask, a file is created with 0600."""
    for umask in (0o000, 0o022, 0o777):
        old = os.umask(umask)
        try:
            os.close(open_private(tmp_path / f"{umask}", os.O_WRONLY | os.O_CREAT))
        finally:
            os.umask(old)
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


def test_symbolic_links_are_not_followed(tmp_path: Path) -> None:
    """A link in the place of a file is an error and not a way to another file."""
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    (tmp_path / "link").symlink_to(target)
    for attempt in (
        lambda: open_private(tmp_path / "link", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        lambda: open_to_read(tmp_path / "link"),
        lambda: FileLock(tmp_path / "link").acquire(),
    ):
        with pytest.raises(OSError, match="symbolic") as caught:
            attempt()
        assert caught.value.errno == errno.ELOOP
    assert not is_locked(tmp_path / "link")
    assert target.read_bytes() == b"precious"


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    """A replacement that fails leaves the file as it was, and nothing beside it."""
    replace_file(tmp_path / "new", tmp_path / "file", b"one")
    (tmp_path / "directory").mkdir()
    with pytest.raises(OSError, match="directory"):
        replace_file(tmp_path / "new", tmp_path / "directory", b"two")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()} == {"file": b"one"}
