"""A real Slurm of one node, started for the tests: loopback only, GPUs that are stand-ins.

Needs root and Debian's packages, which it installs only where FFENSEMBLES_INSTALL_SLURM=1 says so;
no systemd, no cgroups, no accounting.
"""

import os
import shutil
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

INSTALL = "FFENSEMBLES_INSTALL_SLURM"
_PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")
_PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
_SYSTEM = Path("/etc/slurm")
_DAEMONS = ("slurmd", "slurmctld", "munged")

_SLURM = """\
ClusterName=trial
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
AuthInfo=socket={folder}/munge.sock
SlurmctldPort=26817
SlurmdPort=26818
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/slurmctld
SlurmdSpoolDir={folder}/slurmd
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,batch_sched_delay=0
GresTypes=gpu
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
JobAcctGatherParams=OverMemoryKill
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/jobs.log
ReturnToService=2
SlurmctldTimeout=10
SlurmdTimeout=10
KillWait=2
OverTimeLimit=0
MinJobAge=300
InactiveLimit=0
NodeName=node NodeHostname=localhost NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=dgx Nodes=node Default=YES MaxTime=24:00:00 State=UP
"""  # noqa: E501 - a node is one line

_GRES = "NodeName=node Name=gpu File={folder}/nvidia[0-{last}]\n"


def _kill_tree(pid: int) -> None:
    """Kill a process and its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    below = children.read_text().split() if children.exists() else []
    with suppress(ProcessLookupError):
        os.kill(pid, 9)
    for child in below:
        _kill_tree(int(child))


class NoSlurm(Exception):  # noqa: N818 - a reason to skip
    """Slurm does not run on this machine; says why."""


@dataclass
class Cluster:
    """A running Slurm.

    Attributes
    ----------
    folder
        Its state, logs and stand-in devices.
    gpus, cpus, memory
        What its one node says it has (memory in MB); more than there is lets more jobs run at once.
    """

    folder: Path
    gpus: int = 8
    cpus: int = 32
    memory: int = 200_000

    def install(self) -> None:
        """Find Slurm; install it if the user allows that. Otherwise say what is missing."""
        if os.geteuid() != 0:
            raise NoSlurm("its daemons need root in these tests")
        missing = [name for name in _PROGRAMS if not shutil.which(name)]
        if not missing:
            return
        if os.environ.get(INSTALL) != "1":
            raise NoSlurm(f"{missing[0]} is not installed; {INSTALL}=1 lets the tests install it")
        if not shutil.which("apt-get"):
            raise NoSlurm(f"{missing[0]} is not installed, and there is no apt-get")
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update"], ["install", "-y", "--no-install-recommends", *_PACKAGES]):
            done = subprocess.run(
                ["apt-get", "-qq", *words], env=quiet, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise NoSlurm(f"apt-get {words[0]} failed: {done.stderr.strip()[-300:]}")

    def up(self) -> None:
        """Start the daemons and wait until the node takes jobs."""
        self.install()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        for name in ("slurmctld", "slurmd"):
            (self.folder / name).mkdir(exist_ok=True)
        self._stand_in_gpus()
        values = {
            "folder": self.folder, "cpus": self.cpus, "gpus": self.gpus, "last": self.gpus - 1,
            "memory": self.memory,
        }  # fmt: skip
        (self.folder / "slurm.conf").write_text(_SLURM.format_map(values))
        (self.folder / "gres.conf").write_text(_GRES.format_map(values))
        self._link_configuration()
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        self._run("munged", "--force", f"--key-file={key}", *(
            f"--{what}={self.folder}/{file}"
            for what, file in (("socket", "munge.sock"), ("pid-file", "munged.pid"),
                               ("log-file", "munged.log"), ("seed-file", "munge.seed"))
        ))  # fmt: skip
        self._run("slurmctld", "-c", "-f", str(self.folder / "slurm.conf"))
        self.start_node()

    def start_node(self) -> None:
        """Start the node's daemon and wait until it takes jobs."""
        self._run("slurmd", "-f", str(self.folder / "slurm.conf"), "-N", "node")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            state = self.ask("sinfo", "-h", "-o", "%T")
            if state.startswith(("idle", "mixed", "allocated")):
                return
            if state.startswith("down"):
                self.ask("scontrol", "update", "nodename=node", "state=resume")
            time.sleep(0.3)
        raise NoSlurm(f"the node did not come up: {self._logs()}")

    def lose_node(self) -> None:
        """Kill the node's daemon and everything that runs there, as a power cut does."""
        jobs = [int(line) for line in self._pids_of_steps()]
        self.kill("slurmd", 9)
        for pid in jobs:
            _kill_tree(pid)

    def processes(self, job: str) -> list[int]:
        """Return the processes of a job."""
        listed = self.ask("scontrol", "listpids", job).splitlines()[1:]
        return [int(line.split()[0]) for line in listed if line.split()[0] != "-1"]

    def _pids_of_steps(self) -> list[str]:
        return self.ask("pgrep", "-f", "^slurmstepd:").split()

    def down(self) -> None:
        """Stop the daemons and take the configuration away again."""
        self.ask("scancel", "--user", "root")
        for name in _DAEMONS:
            self.kill(name)
        for name in ("slurm.conf", "gres.conf"):
            link = _SYSTEM / name
            if link.is_symlink() and link.readlink().parent == self.folder:
                link.unlink()

    def kill(self, name: str, number: int = 15) -> None:
        """Stop a daemon by a signal, and wait until it is gone."""
        file = self.folder / f"{name}.pid"
        try:
            pid = int(file.read_text())
            os.kill(pid, number)
        except (OSError, ValueError):
            return
        deadline = time.monotonic() + 10
        while Path(f"/proc/{pid}").exists():
            if time.monotonic() > deadline:
                os.kill(pid, 9)
            time.sleep(0.05)
        file.unlink(missing_ok=True)

    def ask(self, *words: str) -> str:
        """Return what a Slurm command says."""
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
        return done.stdout.strip()

    def running(self) -> dict[str, str]:
        """Return jobs that run now, by number: what they say of themselves."""
        lines = self.ask("squeue", "-h", "-t", "running", "-o", "%i|%k").splitlines()
        return dict(line.split("|", 1) for line in lines)

    def ended(self) -> list[dict[str, str]]:
        """Return what Slurm recorded of the jobs that have ended."""
        file = self.folder / "jobs.log"
        lines = file.read_text().splitlines() if file.exists() else []
        return [dict(pair.split("=", 1) for pair in line.split() if "=" in pair) for line in lines]

    def _stand_in_gpus(self) -> None:
        """Make device nodes, which slurmd insists on: copies of /dev/null."""
        for index in range(self.gpus):
            node = self.folder / f"nvidia{index}"
            if not node.exists():
                os.mknod(node, 0o20666, os.makedev(1, 3))

    def _link_configuration(self) -> None:
        """Put the configuration where job steps look, which drop SLURM_CONF."""
        _SYSTEM.mkdir(exist_ok=True)
        for name in ("slurm.conf", "gres.conf"):
            link = _SYSTEM / name
            if link.is_symlink():
                link.unlink()
            elif link.exists():
                raise NoSlurm(f"{link} is of a Slurm that is not ours")
            link.symlink_to(self.folder / name)

    def _run(self, *words: str) -> None:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoSlurm(f"{words[0]}: {done.stderr.strip()[-300:]} {self._logs()}")

    def _logs(self) -> str:
        ends = [f"{f.name}: {f.read_text()[-400:]}" for f in sorted(self.folder.glob("*.log"))]
        return "\n".join(ends)
