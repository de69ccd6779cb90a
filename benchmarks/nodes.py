"""Trains on two nodes, and compares the run with that of two processes on one machine.

python benchmarks/nodes.py [SECONDS]

A node is a network namespace of its own with its own working folder, which holds its own build,
cache and runs. A pair of virtual cables (veth) joins the two, and gloo talks over it. The script
needs Linux with `ip` and `unshare`, and the right to make namespaces: it begins with
`unshare --map-root-user --net --pid`. Whatever is started there ends with the script.

trained    the run of both nodes has the same weights, metrics and rows as that of one machine
resumed    the first node alone has the run folder, and tells the second one that the run is finished
died       the programs of the second node are killed: what the first one says, and after how long
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

NAMESPACES = ["unshare", "--map-root-user", "--net", "--pid", "--fork", "--kill-child"]
NAMESPACES += ["--mount", "--mount-proc"]
SECOND_NODE = ["unshare", "--net", "--pid", "--fork", "--kill-child"]
INSIDE = "CNLW_BENCHMARK_INSIDE"  # set in the namespaces of the first node
ADDRESSES = ("10.99.0.1", "10.99.0.2")
PORT = 29_411
N_NODES = len(ADDRESSES)
REQUEST = ["--config", "blue_40_clean1000", "--net", "conv_small", "--device", "cpu", "--epochs"]


def main(seconds: str = "120") -> None:
    """Print a line for each trial.

    Args:
        seconds: after which a trial is given up
    """
    if INSIDE not in os.environ:
        command = [*NAMESPACES, sys.executable, *sys.argv]
        raise SystemExit(subprocess.run(command, env=os.environ | {INSIDE: "1"}).returncode)
    run("ip", "link", "set", "lo", "up")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_builds(folder)
        limit = float(seconds)
        compare_with_one_machine(folder, limit)
        resume_where_one_node_has_the_run(folder, limit)
        kill_second_node(folder, limit)


def make_builds(folder: Path) -> None:
    """Build the embedded dataset in one folder, and copy it to one for each node."""
    options = ["--dataset", "shapes", "--noise", "blue", "--level", "40", "--train-size", "1000"]
    run(*cnlw("build", *options), cwd=make_folder(folder / "one"))
    for node in range(N_NODES):
        shutil.copytree(folder / "one" / "builds", folder / f"node{node}" / "builds")


def compare_with_one_machine(folder: Path, limit: float) -> None:
    """Train on both, and compare every number that the two runs hold."""
    request = train_request(2)
    launcher = torchrun("--standalone", "--nproc-per-node", str(N_NODES))
    run(*launcher, *request, cwd=folder / "one", env=environment("lo"))
    finish(start_nodes(folder, request), limit)
    one, two = read_run(folder / "one" / "run"), read_run(folder / "node0" / "run")
    different = [name for name in one if one[name] != two.get(name)]
    is_alone = not (folder / "node1" / "run").exists()
    print(f"trained: {len(one) - len(different)} of {len(one)} parts of the runs are the same")
    print(f"trained: only the first node has a run folder: {is_alone}")
    if different or not is_alone:
        raise SystemExit(f"different: {', '.join(different)}")


def resume_where_one_node_has_the_run(folder: Path, limit: float) -> None:
    """Resume the run, which is finished; the second node must learn that from the first."""
    finish(start_nodes(folder, [*train_request(2), "--resume"]), limit)
    print("resumed: both nodes found the run finished")


def kill_second_node(folder: Path, limit: float) -> None:
    """Kill the second node in the middle of training, and resume what the first one has saved."""
    request = train_request(20)
    request[request.index("run")] = "killed"
    nodes = start_nodes(folder, request)
    checkpoint = folder / "node0" / "killed" / "checkpoint.pt"
    deadline = time.monotonic() + limit
    while not checkpoint.exists():
        if time.monotonic() > deadline:
            raise SystemExit("no checkpoint in time")
        time.sleep(0.1)
    kill_programs(nodes[1].pid)
    begin = time.monotonic()
    _, errors = nodes[0].communicate(timeout=limit)
    nodes[1].communicate()
    print(f"died: the first node ended after {time.monotonic() - begin:.0f} s and said")
    print_error(errors)
    if nodes[0].returncode == 0:
        raise SystemExit("the first node went on alone")


def kill_programs(pid: int) -> None:
    """Kill all Python processes in the network namespace of a process; its network stays up."""
    namespace = Path(f"/proc/{pid}/ns/net").readlink()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            is_python = process.joinpath("comm").read_text(encoding="utf-8").startswith("python")
            if is_python and process.joinpath("ns/net").readlink() == namespace:
                os.kill(int(process.name), signal.SIGKILL)


def print_error(errors: str) -> None:
    """Print the line in which the command says what is wrong."""
    for line in errors.splitlines():
        if line.startswith("Error:"):
            print(f"    {line}")


def train_request(epochs: int) -> list[str]:
    """Return the command behind the launcher; the run folder is relative to that of the node."""
    data = ["--data", "builds/shapes", "--cache", "cache", "--out", "run"]
    return ["-m", "cnlw_tools", "train", *data, *REQUEST, str(epochs)]


def start_nodes(folder: Path, request: Sequence[str]) -> list["subprocess.Popen[str]"]:
    """Start torchrun on each node, join the nodes by a cable, and let both begin."""
    endpoint = f"{ADDRESSES[0]}:{PORT}"
    launcher = torchrun("--nnodes", str(N_NODES), "--nproc-per-node", "1")
    launcher += ["--rdzv-backend", "c10d", "--rdzv-endpoint", endpoint]
    nodes = []
    for node in range(N_NODES):
        start = f"read && ip link set lo up && {cable(node)}"
        shell = ["bash", "-c", start + ' && { "$@" || { sleep 5; false; }; }', "node"]
        local = ["--local-addr", ADDRESSES[node], "--rdzv-conf", f"is_host={1 - node}"]
        command = [*shell, *launcher, *local, *request]
        nodes.append(
            subprocess.Popen(
                command if node == 0 else [*SECOND_NODE, *command],
                cwd=make_folder(folder / f"node{node}"),
                env=environment(f"cable{node}"),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
    wait_for_namespace(nodes[1].pid)
    run("ip", "link", "add", "cable0", "type", "veth", "peer", "name", "cable1", "netns",
        str(nodes[1].pid))  # fmt: skip
    for process in nodes:
        if process.stdin is not None:
            process.stdin.write("\n")
            process.stdin.flush()
    return nodes


def cable(node: int) -> str:
    """Return the shell command that gives a node its address."""
    address = f"ip addr add {ADDRESSES[node]}/24 dev cable{node}"
    return f"{address} && ip link set cable{node} up"


def wait_for_namespace(pid: int) -> None:
    """Return when a process is in another network namespace than this one."""
    ours = Path("/proc/self/ns/net").readlink()
    while Path(f"/proc/{pid}/ns/net").readlink() == ours:
        time.sleep(0.01)


def finish(nodes: Sequence["subprocess.Popen[str]"], limit: float) -> None:
    """Wait for the nodes; raise with what one printed if it failed."""
    for node, process in enumerate(nodes):
        _, errors = process.communicate(timeout=limit)
        if process.returncode:
            raise SystemExit(f"node {node} ended with {process.returncode}:\n{errors[-3000:]}")


def read_run(folder: Path) -> dict[str, Any]:
    """Return what a run holds, by part: each tensor of the checkpoint, metrics, tables."""
    import json

    import pyarrow.parquet as pq
    import torch

    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    parts: dict[str, Any] = {}
    for name, tensor in state["method"].items():
        parts[name] = tensor.numpy().tobytes()
    for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        metrics = json.loads(line)
        del metrics["seconds"], metrics["peak_mb"]
        parts[f"epoch {metrics['epoch']}"] = metrics
    for path in [*folder.glob("examples.parquet/*"), folder / "predictions.parquet"]:
        parts[path.name] = pq.read_table(path).to_pydict()
    return parts


def torchrun(*options: str) -> list[str]:
    """Return the launcher with its options."""
    return [sys.executable, "-m", "torch.distributed.run", *options]


def cnlw(*arguments: str) -> list[str]:
    """Return a command of the package."""
    return [sys.executable, "-m", "cnlw_tools", *arguments]


def environment(interface: str) -> dict[str, str]:
    """Return the environment of a launcher; gloo talks over the interface."""
    return os.environ | {"GLOO_SOCKET_IFNAME": interface, "OMP_NUM_THREADS": "1"}


def make_folder(folder: Path) -> Path:
    """Create a folder if needed, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def run(*command: str, **options: Any) -> None:
    """Run a command to its end; print what it says only if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}:\n{done.stdout[-2000:]}{done.stderr[-3000:]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
