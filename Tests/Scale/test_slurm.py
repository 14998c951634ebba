"""A batch as a Slurm array, by a slurmctld and a slurmd that are started for the test."""

import getpass
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

import pytest

from conftest import ENVIRONMENT, ROOT, check_all_is_made_once, entries, write_jobs

# Guards against hanging, not limits: nothing is judged by how long it takes.
PATIENCE = 1800


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(what, condition, log=lambda: ""):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.2)
    raise AssertionError(f"{what} didn't come. {log()}")


class Slurm:
    """A cluster of one machine with four processors, whatever it really has."""

    def __init__(self, folder):
        self.folder = folder
        self.user = getpass.getuser()
        for name in ["state", "spool", "run"]:
            (folder / name).mkdir()
        # munged insists on folders that nobody else can write to.
        os.chmod(folder, 0o755)
        (folder / "munge.key").write_bytes(os.urandom(1024))
        os.chmod(folder / "munge.key", 0o400)
        host = socket.gethostname().split(".")[0]
        (folder / "slurm.conf").write_text(f"""\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={free_port()}
SlurmdPort={free_port()}
SlurmUser={self.user}
SlurmdUser={self.user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/run/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldParameters=enable_configless
SlurmdParameters=config_overrides
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerParameters=sched_interval=1,requeue_setup_env_fail
MailProg=/bin/true
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
""")
        self.environment = {**ENVIRONMENT, "SLURM_CONF": str(folder / "slurm.conf")}
        # What a session in Slurm has set would be taken for this one's.
        self.environment = {name: value for name, value in self.environment.items() if not name.startswith(("SLURM_JOB", "SBATCH"))}
        self.processes = []
        self.start("munged", "--foreground", "--force", f"--key-file={folder}/munge.key", f"--socket={folder}/run/munge.socket",
                   f"--pid-file={folder}/run/munged.pid", f"--log-file={folder}/munged.log", f"--seed-file={folder}/run/munge.seed")
        wait_for("munged's socket", (folder / "run/munge.socket").exists, self.log)
        self.start("slurmctld", "-D", "-f", str(folder / "slurm.conf"))
        self.start("slurmd", "-D", "-f", str(folder / "slurm.conf"), "-N", host)
        wait_for("the idle node", lambda: self.run("sinfo", "-h", "-o", "%T").stdout.strip() == "idle", self.log)

    def start(self, *command):
        with open(self.folder / f"{command[0]}.out", "w") as output:
            self.processes.append(subprocess.Popen(command, env=self.environment, stdout=output, stderr=output))

    def run(self, *command, cwd=None):
        return subprocess.run(command, env=self.environment, cwd=cwd, capture_output=True, text=True)

    def log(self):
        return "\n".join(path.name + ":\n" + "\n".join(path.read_text(errors="replace").splitlines()[-15:])
                         for path in sorted([*self.folder.glob("*.log"), *self.folder.glob("*.out")]))

    def stop(self):
        self.run("scancel", "--user", self.user)
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in reversed(self.processes):
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture()
def slurm():
    # munged's socket has a short path.
    folder = pathlib.Path("/tmp", f"sd-onnx-slurm-{os.getpid()}")
    folder.mkdir(mode=0o755)
    cluster = None
    try:
        cluster = Slurm(folder)
        yield cluster
    finally:
        if cluster:
            cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def processes_of(part, folder):
    """Numbers of the processes that make a part."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"batch" in arguments and part.encode() in arguments and str(folder).encode() in arguments:
            found.append(int(path.parent.name))
    return found


def test_a_killed_task_of_an_array_goes_on(slurm, tmp_path):
    count = 24
    write_jobs(tmp_path / "jobs.jsonl", count, steps=30)
    made = tmp_path / "made"
    answer = slurm.run("sbatch", "--parsable", "--array=1-4", "--cpus-per-task=1", f"{ROOT}/Tools/slurm/batch.sbatch", "jobs.jsonl",
                       str(made), "--cfg-scale", "5", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    job = answer.stdout.strip()
    # Killed when it has made some and not all.
    second = made / "manifest/2-of-4.jsonl"
    log = lambda: slurm.log() + "".join(path.read_text() for path in tmp_path.glob("*.log"))
    wait_for("the second task's first picture", lambda: second.exists() and second.read_text().count("\n") >= 1, log)
    victims = [pid for pid in processes_of("2/4", made) if os.readlink(f"/proc/{pid}/exe").endswith("sd-onnx")]
    assert len(victims) == 1
    os.kill(victims[0], signal.SIGKILL)
    before = second.read_text().count("\n")
    assert before < count // 4
    wait_for("the end of all tasks", lambda: slurm.run("squeue", "-h", "-j", job).stdout.strip() == "", log)
    text = (tmp_path / f"sd-onnx-{job}_2.log").read_text()
    assert "Exit code 137: the task gets into the queue again." in text and f"{before} of {count // 4} jobs are done already." in text
    collected = slurm.run(f"{ROOT}/Tools/slurm/collect.sh", str(made))
    assert collected.returncode == 0, collected.stdout
    assert f"All {count} jobs are done once" in collected.stdout
    assert (made / "manifest.jsonl").read_text().count("\n") == count
    check_all_is_made_once(made, count)
    assert {file.name for file in (made / "manifest").iterdir()} == {f"{number}-of-4.jsonl" for number in range(1, 5)}


def test_wrong_options_are_not_tried_again(slurm, tmp_path):
    write_jobs(tmp_path / "jobs.jsonl", 2)
    job = slurm.run("sbatch", "--parsable", "--array=5-7:2", "--cpus-per-task=1", f"{ROOT}/Tools/slurm/batch.sbatch", "jobs.jsonl",
                    "made", "--shard", "x", cwd=tmp_path).stdout.strip()
    wait_for("the end of all tasks", lambda: slurm.run("squeue", "-h", "-j", job).stdout.strip() == "", slurm.log)
    for task in [5, 7]:
        text = (tmp_path / f"sd-onnx-{job}_{task}.log").read_text()
        assert "--shard" in text and "again" not in text
    # The numbers of an array needn't begin with 1 nor follow each other.
    job = slurm.run("sbatch", "--parsable", "--array=5-7:2", "--cpus-per-task=1", f"{ROOT}/Tools/slurm/batch.sbatch", "jobs.jsonl",
                    "made", "--steps", "2", cwd=tmp_path).stdout.strip()
    wait_for("the end of all tasks", lambda: slurm.run("squeue", "-h", "-j", job).stdout.strip() == "", slurm.log)
    check_all_is_made_once(tmp_path / "made", 2)
    assert len(entries(tmp_path / "made")) == 2
