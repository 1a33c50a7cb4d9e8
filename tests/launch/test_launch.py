"""What a SLURM job's environment says, connection files, command lines; nothing is started."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from dataclasses import fields
from pathlib import Path

import psutil
import pytest

import rayspy as spy
from rayspy import __main__ as command_line
from rayspy import cluster
from rayspy.config import Settings
from rayspy.errors import InvalidTypeError, InvalidValueError, ParallelError
from rayspy.launch import connecting, connection, info, job, node, sizes
from rayspy.launch.connection import Connection


@pytest.fixture
def folder(tmp_path, monkeypatch):
    found = tmp_path / "clusters"
    monkeypatch.setenv("RAYSPY_CLUSTER_DIR", str(found))
    return found


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def make(number, address="127.0.0.1:1", started=1.0, **changes):
    fields = {"dashboard": "", "token_file": "/t", "host": "n1", **connection.own_versions(), **changes}
    return Connection(job=str(number), address=address, started=started, **fields)


# -- sizes


@pytest.mark.parametrize(
    ("text", "counts"), [("2", [2]), ("16(x3)", [16] * 3), ("16(x2),8,4(x1)", [16, 16, 8, 4])]
)
def test_counts_per_node(text, counts):
    assert sizes.counts_per_node(text) == counts


def test_bad_counts_are_named():
    with pytest.raises(InvalidValueError, match="SLURM_JOB_CPUS_PER_NODE"):
        sizes.counts_per_node("16(x)")


JOB = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "a,b", "SLURM_JOB_CPUS_PER_NODE": "4,2"}


@pytest.mark.parametrize(
    ("memory", "wanted"),
    [
        ({}, [0, 0]),
        ({"SLURM_MEM_PER_NODE": "1024"}, [2**30] * 2),
        ({"SLURM_MEM_PER_CPU": "512"}, [2**31, 2**30]),
        ({"SLURM_MEM_PER_NODE": "0"}, [0, 0]),
    ],
)
def test_allocation(memory, wanted):
    found = sizes.read_allocation({**JOB, **memory})
    assert [share.memory for share in found.shares] == wanted
    assert [(share.host, share.cpus) for share in found.shares] == [("a", 4), ("b", 2)]
    assert (found.job, found.own.host) == ("7", "a")


def test_outside_of_a_job_it_says_so():
    with pytest.raises(ParallelError, match="sbatch"):
        sizes.read_allocation({})
    with pytest.raises(ParallelError, match="2 hosts and 1 CPU"):
        sizes.read_allocation({**JOB, "SLURM_JOB_CPUS_PER_NODE": "4"})


def test_address_of_an_interface(monkeypatch):
    monkeypatch.setenv("RAYSPY_INTERFACE", "lo")
    assert sizes.own_address() == "127.0.0.1"
    monkeypatch.setenv("RAYSPY_INTERFACE", "ib7")
    with pytest.raises(ParallelError, match=r"'ib7' .* it has .*lo \(127"):
        sizes.own_address()


def test_loopback_is_the_last_resort(monkeypatch):
    monkeypatch.delenv("RAYSPY_INTERFACE", raising=False)
    monkeypatch.setattr(sizes, "_resolved", lambda host: "127.0.1.1")
    monkeypatch.setattr(sizes, "_address_towards", {"near": "10.1.2.3", "far": ""}.get)
    assert sizes.own_address(("far", "near")) == "10.1.2.3"
    assert sizes.own_address(("far",)) == "127.0.0.1"


# -- nodes


@pytest.mark.parametrize("limit", [10**9, 4 * 10**9, 64 * 10**9])
def test_blocks_and_store_stay_within_the_limit(monkeypatch, limit):
    monkeypatch.setattr(node, "available_memory", lambda: 10**12)
    monkeypatch.setattr(cluster, "store_size", lambda available: min(2 * 10**9, available // 10))
    memory, store = node.memory_and_store(limit)
    assert limit * 0.8 < memory + store < limit
    assert store >= cluster.MIN_STORE
    assert node.memory_and_store(0)[0] > memory
    assert node.memory_and_store(limit, 5 * 10**8)[0] < memory


def test_command_of_a_node(tmp_path, monkeypatch):
    monkeypatch.setattr(node, "available_memory", lambda: 4 * 10**9)
    spec = node.NodeSpec("10.0.0.1:5", "10.0.0.2", 3, label="mine")
    command = node.ray_command(spec, tmp_path)
    assert "--node-ip-address=10.0.0.2" in command
    assert "--num-cpus=3" in command
    assert '--resources={"mine": 1}' in command
    assert "--min-worker-port=0" in command
    assert json.loads(spec.arguments()[-1])["label"] == "mine"


IDLE = """
    import subprocess, sys, time
    from rayspy.launch import node
    node.ray_command = lambda spec, folder: [sys.executable, "-c", {body!r}]
    spec = node.NodeSpec({address!r}, "127.0.0.1", 1, leash={leash})
    sys.exit(node.run_node(spec, lambda text: print(text, flush=True)))
"""
ORPHAN = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"], start_new_session=True)
print("Ray runtime started", flush=True)
time.sleep(100)
"""


def node_process(body, address, leash=False, **options):
    code = textwrap.dedent(IDLE.format(body=body, address=address, leash=leash))
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options
    )


def started(process):
    """Its folder and descendants, when it is up."""
    line = process.stdout.readline()
    assert line.startswith(node.READY), line
    tree = psutil.Process(process.pid).children(recursive=True)
    assert len(tree) == 2
    return line.removeprefix(node.READY).strip(), tree


@pytest.mark.parametrize("ending", ["signal", "leash", "head"])
def test_a_node_ends_with_all_its_processes_and_files(listening, monkeypatch, ending):
    head = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{head.getsockname()[1]}"
    with node_process(ORPHAN, address, leash=ending == "leash") as process:
        folder, tree = started(process)
        if ending == "signal":
            process.send_signal(signal.SIGTERM)
        elif ending == "leash":
            process.stdin.close()
        else:
            head.close()
        assert process.wait(20) == {"signal": 143}.get(ending, 0)
    head.close()
    assert not psutil.wait_procs(tree, timeout=5)[1]
    assert not Path(folder).exists()


def test_a_silent_head_is_waited_for_longer_than_one_that_refuses(monkeypatch):
    now, answer = [0.0], [None]
    monkeypatch.setattr(node.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(cluster, "unreachable", lambda *_: answer[0])
    head = node._Head("10.0.0.1:5")

    def looks(fault, seconds):
        answer[0], gone = fault, []
        for _ in range(int(seconds / 2)):
            now[0] += 2
            gone.append(head.is_gone())
        return gone

    assert not any(looks(TimeoutError(), 30))
    assert not any(looks(None, 2))
    assert not any(looks(OSError("no route to host"), 30))
    assert all(looks(TimeoutError(), 4))
    assert not any(looks(None, 2))
    assert looks(ConnectionRefusedError(), 8) == [False, False, True, True]


def test_patience_is_as_the_user_set_it(monkeypatch):
    name = "RAY_health_check_failure_threshold"
    monkeypatch.delenv(name, raising=False)
    assert cluster.worker_environment()[name] == "3"
    monkeypatch.setenv(name, "9")
    assert cluster.worker_environment()[name] == "9"


def test_a_node_ends_with_its_parent(listening):
    code = textwrap.dedent(IDLE.format(body=ORPHAN, address=listening, leash=False))
    parent = (
        "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', sys.argv[1]]); time.sleep(100)"
    )
    with subprocess.Popen([sys.executable, "-c", parent, code], stdout=subprocess.PIPE, text=True) as process:
        folder = process.stdout.readline().removeprefix(node.READY).strip()
        tree = psutil.Process(process.pid).children(recursive=True)
        assert len(tree) == 3
        process.kill()
    assert not psutil.wait_procs(tree, timeout=10)[1]
    assert not Path(folder).exists()


def test_script_and_token_of_a_job_that_is_killed_go(tmp_path):
    token = tmp_path / "7.token"
    token.touch()
    code = """
import sys, time
from pathlib import Path
from rayspy.launch import job, processes
watch = processes.removed_when_killed(Path(sys.argv[1]))
with job._started([sys.executable, "-c", "import time; time.sleep(100)"], {}) as script:
    print(script.pid, watch.pid, flush=True)
    time.sleep(100)
"""
    command = [sys.executable, "-c", code, str(token)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        left = [psutil.Process(int(pid)) for pid in process.stdout.readline().split()]
        assert token.exists()
        process.kill()
    assert not psutil.wait_procs(left, timeout=10)[1]
    assert not token.exists()


def test_a_node_that_cannot_start_says_why(listening):
    with node_process("print('no port is free'); raise SystemExit(3)", listening) as process:
        output = process.stdout.read()
        assert process.wait(20) in (1, 128 + signal.SIGTERM)  # the second if it came just before
    assert output.count("Ray ended with status 3: no port is free") == cluster.ATTEMPTS


def test_a_node_that_cannot_start_is_started_again(listening, tmp_path):
    body = f"""
import os, sys, time
os.mkdir(os.path.join({str(tmp_path)!r}, str(len(os.listdir({str(tmp_path)!r})))))
if len(os.listdir({str(tmp_path)!r})) < 3:
    sys.exit("too busy")
print("Ray runtime started", flush=True)
time.sleep(100)
"""
    with node_process(body, listening) as process:
        lines = [process.stdout.readline() for _ in range(3)]
        assert ["too busy" in line for line in lines] == [True, True, False]
        folder = lines[2].removeprefix(node.READY).strip()
        process.terminate()
        assert process.wait(20) == 143
    assert not Path(folder).exists()


def test_a_signal_does_not_disturb_the_tidying(listening):
    body = "import time; print('Ray runtime started', flush=True); time.sleep(1); raise SystemExit(3)"
    with node_process(body, listening) as process:
        folder = process.stdout.readline().removeprefix(node.READY).strip()
        assert Path(folder).exists()
        assert "Ray ended with status 3" in process.stdout.readline()
        for _ in range(20):
            process.terminate()
        assert process.wait(20) in (1, 128 + signal.SIGTERM)  # the second if it came just before
    assert not Path(folder).exists()


@pytest.mark.parametrize("comes_up", [True, False])
def test_a_session_waits_for_a_node_that_is_started_again(comes_up):
    code = f"print('too busy'); print({node.READY + '/its/folder' if comes_up else 'still too busy'!r})"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        if comes_up:
            assert connecting._folder_of(process) == Path("/its/folder")
        else:
            with pytest.raises(ParallelError, match="ended: too busy\nstill too busy"):
                connecting._folder_of(process)


# -- connection files


def test_files_are_private(folder):
    token = connection.write_token("7")
    path = connection.write_connection(make(7))
    assert [p.stat().st_mode & 0o777 for p in (token, path, folder)] == [0o600, 0o600, 0o700]
    assert len(token.read_text()) == 64
    assert connection.connections() == [make(7)]
    assert token.read_text() != connection.write_token("7").read_text()


def test_an_open_folder_is_refused(folder):
    folder.mkdir(mode=0o755)
    with pytest.raises(ParallelError, match="chmod 700"):
        connection.cluster_folder()


def test_the_newest_that_answers_is_found(folder, listening):
    for number, address, started in ((1, listening, 1.0), (2, listening, 2.0), (3, "127.0.0.1:1", 3.0)):
        connection.write_connection(make(number, address, started))
    (folder / "4.json").write_text("{")
    assert connection.find_connection().job == "2"
    assert connection.find_connection(1).job == "1"
    for job_, words in (
        (3, "the cluster of job 3 did not answer"),
        (9, r"lists clusters of jobs 3 .*, 2 .*, 1"),
        (9, "`job`.* `timeout` = 0 s"),
    ):
        with pytest.raises(ParallelError, match=words):
            connection.find_connection(job_)
    for known in folder.glob("*.json"):
        known.unlink()
    with pytest.raises(ParallelError, match=r"`job` = None.* `timeout` = 0 s"):
        connection.find_connection()


def test_waiting_for_a_cluster_has_an_end(folder, monkeypatch, caplog):
    monkeypatch.setattr(connection, "_LINE_SECONDS", 0.2)
    began = time.monotonic()
    with (
        pytest.raises(ParallelError, match="within `timeout` = 1 s; start one with"),
        caplog.at_level("INFO", "rayspy"),
    ):
        spy.connect(timeout=1)
    assert 1 <= time.monotonic() - began < 15
    assert "is not up yet, waiting" in caplog.text


def test_old_files_are_removed(folder):
    old = connection.write_connection(make(1))
    os.utime(old, (0, 0))
    connection.write_token("2")
    assert [path.name for path in folder.iterdir()] == ["2.token"]


def test_other_versions_are_refused_before_anything_starts(folder, listening, monkeypatch):
    connection.write_connection(make(1, listening, ray="1.0", python="3.9"))
    monkeypatch.setattr(cluster, "ray_is_connected", lambda: False)
    monkeypatch.setattr(connecting, "_join", lambda found: pytest.fail("started"))
    with pytest.raises(ParallelError, match=r"job 1 runs python 3\.9 \(here .*\), ray 1\.0 \(here"):
        spy.connect()


@pytest.mark.parametrize("number", [True, 1.5, [1]])
def test_job_has_to_be_a_number(number):
    with pytest.raises(InvalidTypeError, match="job"):
        spy.connect(number)


# -- pieces of the batch job, and the command line


def test_patience_is_checked(monkeypatch):
    monkeypatch.setenv("RAYSPY_NODE_TIMEOUT", "soon")
    with pytest.raises(InvalidValueError, match="RAYSPY_NODE_TIMEOUT"):
        job._node_seconds()
    monkeypatch.setenv("RAYSPY_NODE_TIMEOUT", "2.5")
    assert job._node_seconds() == 2.5


def test_a_missing_script_is_named():
    with pytest.raises(InvalidValueError, match="nowhere"):
        job.run_script(["nowhere.py"])


def test_info_without_any_ray(capsys, monkeypatch):
    monkeypatch.setattr(info.cluster, "running_in_ray", lambda: None)
    monkeypatch.setattr(info, "_dask_client", lambda: None)
    with spy.config.using(num_cpus=3, memory_budget="2GB", scratch_quota="5GB"):
        spy.cluster_info()
    text = capsys.readouterr().out
    assert "3 threads on" in text
    assert "up to 2.0 GB" in text
    assert "quota 5.0 GB" in text
    assert f"rayspy {spy.__version__}, Ray " in text
    assert len(text.splitlines()) < 6


def test_command_line(folder, listening, capsys, monkeypatch):
    connection.write_connection(make(5, listening, dashboard="http://n1:8265", token_file="/a b/t"))
    assert command_line.main(["connection", "--job", "5"]) == 0
    printed = capsys.readouterr().out
    assert f"export RAY_ADDRESS={listening}" in printed
    assert "export RAY_AUTH_TOKEN_PATH='/a b/t'" in printed
    assert command_line.main(["connection", "--job", "6"]) == 1
    assert "job 6 did not answer" in capsys.readouterr().err
    monkeypatch.setattr(info.cluster, "running_in_ray", lambda: None)
    assert command_line.main(["info"]) == 0
    assert "scratch" in capsys.readouterr().out


def test_the_variables_in_the_guide_exist():
    root = Path(__file__).parents[2]
    sources = "".join(path.read_text() for path in [*root.glob("rayspy/**/*.py"), *root.glob("slurm/*.s*")])
    example = (root / "slurm" / "rayspy.env.example").read_text()
    settings = {f"RAYSPY_{field.name.upper()}" for field in fields(Settings)}
    for text in ((root / "slurm" / "README.md").read_text(), example):
        named = set(re.findall(r"RAYSPY_[A-Z_]+", text))
        assert len(named) > 5
        assert not {name for name in named - settings if name not in sources}


@pytest.mark.parametrize(
    "name", ["rayspy.sbatch", "ray_cluster.sbatch", "ray_workers.sbatch", "ray_job_submit.sh"]
)
def test_shell_scripts_are_sound(name):
    script = Path(__file__).parents[2] / "slurm" / name
    assert subprocess.run(["bash", "-n", str(script)], capture_output=True).returncode == 0


# -- steps, with programs that stand in for srun


GOOD = "print('rayspy-node-ready /f', flush=True); import sys; sys.stdin.read()"
BAD = "print('no shared memory', flush=True); raise SystemExit(1)"
LATE = "import time; time.sleep(100)"
STUBBORN = "import time; print('rayspy-node-ready /f', flush=True); time.sleep(100)"


@pytest.fixture
def nodes(monkeypatch):
    monkeypatch.setattr(job, "_srun", lambda host: [sys.executable, "-c", globals()[host.upper()]])
    monkeypatch.setattr(job, "_END_SECONDS", 0.5)
    made = job.Nodes("127.0.0.1:1", "n1")
    yield lambda *kinds: [made.start(sizes.Share(kind, 1, 0)) for kind in kinds] and made
    made.stop()
    assert all(step.process.wait(5) is not None for step in made._steps)


def test_missing_nodes_are_named_once(nodes, caplog, capsys):
    found = nodes("good", "bad", "late")
    found.wait(1.5)
    assert "the Ray node on bad failed: no shared memory" in caplog.text
    assert "the Ray node on late is not up after 1.5 s" in caplog.text
    assert "2 of 3 nodes beside the head are missing" in caplog.text
    assert "[bad] no shared memory" in capsys.readouterr().err
    assert found.running() == 1
    caplog.clear()
    found.report_losses()
    assert not caplog.records


def test_a_lost_node_is_named_once(nodes, caplog):
    found = nodes("good")
    found.wait(20)
    found._steps[0].process.kill()
    assert found._steps[0].ended.wait(5)
    found.report_losses()
    found.report_losses()
    assert [record.getMessage() for record in caplog.records].count(
        "rayspy <job> WARNING: the Ray node on good is gone; its blocks run elsewhere"
    ) == 1


def test_a_host_that_only_the_head_misses_is_named_once(nodes, caplog, monkeypatch):
    monkeypatch.setattr(job, "_NODES_LOOK_SECONDS", 0.0)
    found = nodes("good")
    known = {"good"}
    found._alive = lambda: known
    found.wait(20)
    found.report_losses()
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    known.clear()
    for _ in range(3):
        found.report_losses()
    assert caplog.text.count("the Ray node on good is gone") == 1


def test_stopping_is_silent_and_does_not_wait_for_ever(nodes, caplog):
    found = nodes("good", "stubborn")
    found.wait(20)
    began = time.monotonic()
    found.stop()
    found.report_losses()
    assert time.monotonic() - began < 20
    assert not caplog.records


def test_workers_that_cannot_join_are_an_error(nodes):
    with pytest.raises(ParallelError, match="no node could join"):
        nodes("bad").wait(20, least=1)


def test_the_first_line_of_a_log():
    hosts = tuple(sizes.Share(f"n{i}", 1, 2**30) for i in range(10))
    text = job._described(sizes.Allocation("7", hosts), "a.py", "2")
    assert text == (
        "job 7 (restart 2): a.py on 10 hosts (n0 n1 n2 n3 n4 n5 n6 n7 ...), 1 CPU and 1.0 GiB on the first"
    )
    alone = sizes.Allocation("7", (sizes.Share("n0", 4, 0),))
    assert (
        job._described(alone, "a.py", "0")
        == "job 7: a.py on 1 host (n0), 4 CPUs and no memory limit on the first"
    )
