"""What becomes of a journal when its process forks. Each test runs in a process of its own, which has few threads."""

from __future__ import annotations

from pathlib import Path

from journal.kit import read_all, read_texts, run, texts
from synapse_otel.journal.directory import JournalPath, journals
from synapse_otel.journal.reader import JournalReader
from synapse_otel.journal.records import RunStarted


def by_role(root: Path) -> tuple[JournalPath, list[JournalPath]]:
    """Return the journal of the parent and those of its children."""
    found = {path: JournalReader(path).identity() for path in journals(root)}
    (parent,) = (path for path, identity in found.items() if not identity.worker)
    return parent, [path for path, identity in found.items() if identity.worker]


def test_a_child_gets_a_journal_of_its_own_at_its_first_append(tmp_path: Path) -> None:
    """A forked child records in its own journal, which continues the run of the parent's, and says so to its owner."""
    run(
        """
        said = []
        look = lambda: said.append(journal.path.is_live())
        journal = open_journal(Path(sys.argv[1]), on_fork=look)
        journal.append(message("parent before"))
        child = os.fork()
        if child == 0:
            assert journal.next_seq == 0 and said == []
            journal.append(message("child"))
            assert journal.next_seq == 2 and said == [True], said
            journal.append(message("child again"))
            assert said == [True]
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        journal.append(message("parent after"))
        assert said == []
        journal.close()
        """,
        tmp_path,
    )
    parent, (child,) = by_role(tmp_path)
    assert (read_texts(parent), read_texts(child)) == (["parent before", "parent after"], ["child", "child again"])
    first, second = JournalReader(parent).identity(), JournalReader(child).identity()
    assert (second.trace_id, second.job_id, second.name) == (first.trace_id, first.job_id, first.name)
    assert (second.parent_span_id, second.journal_id, child.run) == (first.span_id, child.journal_id, parent.run)
    assert second.span_id != first.span_id
    assert second.resource["service.instance.id"] == child.journal_id
    assert second.resource["process.pid"] not in (None, first.resource.get("process.pid"))
    assert read_all(child).entries[0].record == RunStarted(second.started)


def test_a_child_that_records_nothing_creates_nothing(tmp_path: Path) -> None:
    """Children that only exit, exec, close or prepare leave no trace, and the parent goes on."""
    run(
        """
        journal = open_journal(Path(sys.argv[1]), first_segment=SMALL, segment=SMALL)
        for number in range(40): journal.append(message(number))
        for act in (lambda: None, journal.close, journal.prepare, lambda: os.execv("/bin/true", ["true"])):
            child = os.fork()
            if child == 0:
                act()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            journal.append(message("x"))
        """,
        tmp_path,
    )
    parent, children = by_role(tmp_path)
    assert (read_texts(parent), children) == ([*map(str, range(40)), *"xxxx"], [])


def test_a_closed_journal_stays_closed_in_a_child(tmp_path: Path) -> None:
    """What was closed before the fork is not opened again by the child."""
    output = run(
        """
        journal = open_journal(Path(sys.argv[1]))
        journal.close()
        if os.fork() == 0:
            try:
                journal.append(message("late"))
            except RuntimeError as error:
                print(error, flush=True)
            os._exit(0)
        os.wait()
        """,
        tmp_path,
    )
    assert (output, by_role(tmp_path)[1]) == ("the journal is closed\n", [])


def test_a_child_does_not_keep_its_parents_journal_alive(tmp_path: Path) -> None:
    """The journal of a killed parent is known as dead although its child lives on and records."""
    run(
        """
        ready, go = os.pipe()
        parent = os.fork()
        if parent == 0:
            journal = open_journal(Path(sys.argv[1]))
            journal.append(message("parent"))
            if os.fork() == 0:
                journal.append(message("child"))
                os.close(1)
                os.write(go, b"x")
            time.sleep(20)
            os._exit(0)
        os.read(ready, 1)
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        live = {JournalReader(path).identity().worker: path.is_live() for path in journals(Path(sys.argv[1]))}
        assert live == {False: False, True: True}, live
        """,
        tmp_path,
    )


def test_ten_children_at_once_while_other_threads_write(tmp_path: Path) -> None:
    """Forks in the middle of the writes of other threads: eleven journals, each complete, nothing mixed or stuck."""
    run(
        """
        journal = open_journal(Path(sys.argv[1]), first_segment=SMALL, segment=SMALL)
        stop, counts = threading.Event(), [0, 0]
        def write(name):
            while not stop.is_set():
                journal.append(message(f"thread-{name} {counts[name]}"))
                counts[name] += 1
        threads = [threading.Thread(target=write, args=(name,)) for name in range(2)]
        threads.append(threading.Thread(target=lambda: [journal.prepare() for _ in iter(stop.is_set, True)]))
        for thread in threads: thread.start()
        children = []
        for name in range(10):
            child = os.fork()
            if child == 0:
                for number in range(200): journal.append(message(f"child-{name} {number}"))
                os._exit(0)
            children.append(child)
        assert [os.waitpid(child, 0)[1] for child in children] == [0] * 10
        stop.set()
        for thread in threads: thread.join()
        journal.append(message("end " + " ".join(map(str, counts))))
        journal.close()
        """,
        tmp_path,
    )
    parent, children = by_role(tmp_path)
    assert sorted(tuple(read_texts(child)) for child in children) == sorted(
        tuple(f"child-{name} {number}" for number in range(200)) for name in range(10)
    )
    found = read_all(parent)
    *written, end = texts(found.entries)
    for name, count in enumerate(map(int, end.split()[1:])):
        own = [text for text in written if text.startswith(f"thread-{name} ")]
        assert own == [f"thread-{name} {number}" for number in range(count)]
    assert ([entry.seq for entry in found.entries], found.missing) == (list(range(len(written) + 1)), 0)
    assert parent.spares() == []


def test_a_child_of_a_child_goes_on_in_the_same_run(tmp_path: Path) -> None:
    """A grandchild has its own journal below the process that recorded last."""
    run(
        """
        journal = open_journal(Path(sys.argv[1]))
        for generation in range(3):
            journal.append(message(generation))
            if os.fork():
                os.wait()
                os._exit(0)
        """,
        tmp_path,
    )
    found = {read_texts(path)[0]: JournalReader(path).identity() for path in journals(tmp_path)}
    assert sorted(found) == ["0", "1", "2"]
    assert [found["1"].parent_span_id, found["2"].parent_span_id] == [found["0"].span_id, found["1"].span_id]


def test_a_child_of_a_journal_in_memory_tries_the_disk_again(tmp_path: Path) -> None:
    """What the parent holds in memory is the parent's; its child begins anew, on the disk if it can."""
    output = run(
        """
        root = Path(sys.argv[1]) / "root"
        root.touch()
        journal = open_journal(root)
        journal.append(message("parent"))
        root.unlink()
        if os.fork() == 0:
            journal.append(message("child"))
            print(journal.degraded, texts(journal.read(START, 9, 9999).entries), flush=True)
            os._exit(0)
        os.wait()
        print(type(journal.degraded).__name__, texts(journal.read(START, 9, 9999).entries))
        """,
        tmp_path,
    )
    assert output == "None ['child']\nNotADirectoryError ['parent']\n"
