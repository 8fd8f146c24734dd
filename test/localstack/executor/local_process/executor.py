"""A Lambda runtime executor for LocalStack without Docker: one Node process is one environment.

LocalStack creates an executor for each environment. It calls `start` once, `invoke` for each
request, and `stop` when the environment was idle for long enough or its function is gone.
bootstrap.mjs runs in the process and describes the protocol.

As on Lambda: environments are kept warm and take one request at a time; errors of init and of the
function have their types; time-outs, crashes and exits end the process, and the next request starts
another; logs reach CloudWatch Logs and `LogType: Tail`, also those of a killed process;
os.tmpdir() is the environment's own.

Unlike Lambda: only the machine's Node runs, whatever version `runtime` names; there are no layers,
images, extensions or response streaming; code does not lie in /var/task, and /tmp by name is the
machine's; only the heap of V8 is limited; an environment is not frozen between requests; a handler
may read the machine's files.
"""

import json
import logging
import os
import queue
import shutil
import subprocess
import threading
import time
from pathlib import Path

from localstack import config
from localstack.services.lambda_.invocation.executor_endpoint import StatusErrorException
from localstack.services.lambda_.invocation.lambda_models import FunctionVersion, InvocationResult
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

LOG = logging.getLogger(__name__)
BOOTSTRAP = Path(__file__).with_name("bootstrap.mjs")
# Lambda allows 10 s; here many starts at once share the cores of one machine.
INIT_TIMEOUT_S = 20
# The only variables of LocalStack's environment that a function gets.
INHERITED = ("PATH", "HOME", "LANG")
# More starts at once than cores would slow each of them down, up to the time-out.
START_SLOTS = threading.BoundedSemaphore(os.cpu_count() or 2)


class Environment:
    """A Node process and its messages."""

    def __init__(self, function_version: FunctionVersion, env_vars: dict[str, str], folder: Path) -> None:
        function = function_version.config
        if not (function.runtime or "").startswith("nodejs"):
            raise NotImplementedError(f"local-process runs Node functions, not {function.runtime}")
        code = str(function.code.get_unzipped_code_location())
        folder.mkdir(parents=True, exist_ok=True)
        env = {name: os.environ[name] for name in INHERITED if name in os.environ}
        env.update({name: str(value) for name, value in env_vars.items()})
        # Lambda's ":UTC" is for glibc; Node does not know it as a zone.
        env.update(LAMBDA_TASK_ROOT=code, TMPDIR=str(folder), TZ="UTC")
        node = os.environ.get("LOCAL_PROCESS_NODE") or shutil.which("node") or "node"
        read_fd, write_fd = os.pipe()
        try:
            self.process = subprocess.Popen(
                [node, f"--max-old-space-size={max(64, int(function.memory_size))}", str(BOOTSTRAP), str(write_fd)],
                cwd=code,
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(write_fd,),
            )
        except BaseException:
            os.close(read_fd)
            raise
        finally:
            os.close(write_fd)
        self.logs: list[str] = []
        self._messages: queue.SimpleQueue[dict | None] = queue.SimpleQueue()
        # A thread of its own reads, so that the process never waits for a reader of its logs.
        threading.Thread(target=self._read, args=(read_fd,), daemon=True).start()

    def _read(self, fd: int) -> None:
        with open(fd, "rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):  # otherwise it was killed in the middle of a line
                    self._messages.put(json.loads(line))
        self._messages.put(None)

    def send(self, request: dict[str, str]) -> None:
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
        except OSError:
            pass  # It has ended, and `receive` reports that.

    def receive(self, deadline: float) -> dict | None:
        """The next message except logs; None if the process ended or the deadline passed."""
        while True:
            try:
                message = self._messages.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return None
            if message is None or message["kind"] != "log":
                return message
            self.logs.append(message["line"])

    def take_logs(self) -> list[str]:
        logs, self.logs = self.logs, []
        return logs

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def kill(self) -> int:
        self.process.kill()
        code = self.process.wait()
        try:
            self.process.stdin.close()
        except OSError:
            pass  # The rest of the buffer has no reader any more.
        return code


class LocalProcessExecutor(RuntimeExecutor):
    def __init__(self, id: str, function_version: FunctionVersion) -> None:
        super().__init__(id=id, function_version=function_version)
        self.environment: Environment | None = None
        self.env_vars: dict[str, str] = {}
        self.folder = Path(config.dirs.tmp) / "local-process" / id

    def start(self, env_vars: dict[str, str]) -> None:
        self.env_vars = env_vars
        self._start_environment()

    def _start_environment(self) -> Environment:
        with START_SLOTS:
            environment = Environment(self.function_version, self.env_vars, self.folder)
            self.environment = environment
            message = environment.receive(time.monotonic() + INIT_TIMEOUT_S)
        if message and message["kind"] == "ready":
            return environment
        environment.kill()
        body = (message or {}).get("body") or {
            "errorType": "Runtime.ExitError",
            "errorMessage": "Runtime exited or timed out during init",
        }
        raise StatusErrorException("Environment startup failed", payload=json.dumps(body).encode())

    def stop(self) -> None:
        # Another thread may be in `invoke` and then sees the process end.
        if self.environment:
            self.environment.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def invoke(self, payload: dict[str, str]) -> InvocationResult:
        request_id = payload["invoke-id"]
        timeout = int(self.function_version.config.timeout)
        try:
            environment = self.environment
            if environment is None or environment.has_ended():
                environment = self._start_environment()
        except StatusErrorException as error:
            return InvocationResult(request_id, error.payload, True, "")
        started = time.monotonic()
        environment.send(payload)
        message = environment.receive(started + timeout)
        took_ms = (time.monotonic() - started) * 1000
        if message is None:
            message = {"kind": "error", "body": self._end_of(environment, request_id, timeout, took_ms)}
        elif message["kind"] == "fatal":
            environment.kill()  # It is ending, and must not get the next request.
        logs = [
            f"START RequestId: {request_id} Version: {self.function_version.id.qualifier}",
            *environment.take_logs(),
            f"END RequestId: {request_id}",
            f"REPORT RequestId: {request_id}\tDuration: {took_ms:.2f} ms\tBilled Duration: {int(took_ms) + 1} ms\t"
            f"Memory Size: {self.function_version.config.memory_size} MB",
        ]
        return InvocationResult(request_id, json.dumps(message["body"]).encode(), message["kind"] != "ok", "\n".join(logs))

    @staticmethod
    def _end_of(environment: Environment, request_id: str, timeout: int, took_ms: float) -> dict[str, str]:
        """Ends the process and returns the error of a request without an answer."""
        timed_out = took_ms >= timeout * 1000
        if not timed_out:
            # It closed its pipe; its own exit code, before the SIGKILL below, follows soon.
            try:
                environment.process.wait(timeout=1)
            except subprocess.TimeoutExpired:
                pass
        code = environment.kill()
        if timed_out:
            kind, reason = "Sandbox.Timedout", f"Task timed out after {timeout}.00 seconds"
        else:
            ended = f"signal: {-code}" if code < 0 else f"exit status {code}"
            kind, reason = "Runtime.ExitError", f"Runtime exited with error: {ended}"
        body = {"errorType": kind, "errorMessage": f"RequestId: {request_id} Error: {reason}"}
        environment.logs.append(body["errorMessage"])
        return body

    def get_logs(self) -> str:
        return "\n".join(self.environment.logs) if self.environment else ""

    def get_address(self) -> str:
        return "127.0.0.1"

    def get_endpoint_from_executor(self) -> str:
        return "127.0.0.1"

    def get_runtime_endpoint(self) -> str:
        # As on Lambda, the function's variables have it; the pipes are used instead of it.
        return f"http://127.0.0.1:{config.GATEWAY_LISTEN[0].port}/_localstack_lambda/{self.id}"

    @classmethod
    def prepare_version(cls, function_version: FunctionVersion) -> None:
        if function_version.config.code:
            function_version.config.code.prepare_for_execution()

    @classmethod
    def cleanup_version(cls, function_version: FunctionVersion) -> None:
        pass


class LocalProcessExecutorPlugin(RuntimeExecutorPlugin):
    name = "local-process"

    def load(self, *args, **kwargs) -> type[LocalProcessExecutor]:
        return LocalProcessExecutor
