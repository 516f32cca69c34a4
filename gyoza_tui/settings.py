"""One tree of settings: flags > environment > named .env file > TOML file > defaults. Every name and meaning, once."""

from __future__ import annotations

import os
import socket
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import platformdirs
import psutil
from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from gyoza_tui import env_files
from gyoza_tui.key_files import can_be_key, chosen_key
from gyoza_tui.models import durations, sizes
from gyoza_tui.models.faults import SettingsError as SettingsError
from gyoza_tui.models.identity import check_id
from gyoza_tui.models.limits import AWAY_S_MAX, CPU_MAX, MEMORY_MB_MAX, TIMEOUT_S_MAX
from gyoza_tui.models.listen_address import ListenAddress
from gyoza_tui.models.loopback import is_loopback
from gyoza_tui.models.nearest import did_you_mean, nearest
from gyoza_tui.models.nested import MaySubmit
from gyoza_tui.models.values import why_unreadable

PREFIX = "GYOZA_"
NOT_SETTINGS = frozenset({"GYOZA_CONFIG", env_files.VARIABLE, "GYOZA_TEST_DOCKER"})
"""Variables of ours that are no settings."""
OP_VARIABLES = frozenset(
    {
        "GYOZA_INPUT_PATH",
        "GYOZA_OUTPUT_PATH",
        "GYOZA_INPUT_JSON",
        "GYOZA_OUTPUT_JSON",
        "GYOZA_RUN_ID",
        "GYOZA_ATTEMPT",
        "GYOZA_SOCKET",
        "GYOZA_NO_SOCKET",
        "GYOZA_MARK",
    }
)
"""What an op finds in its environment; an op may well start a client of ours."""


_FLAGS = {"server_url": "--server", "server_host": "--host", "server_port": "--port"}
"""Of the settings whose flag has another name than they."""
OF_ENV_FILE = "of_env_file"
"""By this name, which is no setting, `Settings` takes the variables of a file."""


def default_worker_id() -> str:
    """The host's name, as far as it can be a worker id."""
    name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in socket.gethostname())
    return name.strip("._-")[:64] or "worker"


def default_max_runs() -> int:
    return min(psutil.cpu_count() or 1, 8)


def _list(value: Any) -> Any:
    """`a,b` in a flag or the environment is the list [a, b]."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _keymap(value: Any) -> Any:
    """`pause=P;drain=ctrl+d,f9`, as it is written in one line."""
    if not isinstance(value, str):
        return value
    entries = [entry.partition("=") for entry in value.split(";") if entry.strip()]
    if wrong := [name.strip() for name, equals, _ in entries if not equals]:
        raise ValueError(f"{wrong[0][:80]!a} has no key: write action=key;action=key,key")
    return {name.strip(): keys.strip() for name, _, keys in entries}


def _typed(read: Callable[[str], float]) -> Callable[[Any], Any]:
    """A validator of what a person typed; a number of TOML or of a program is one already."""
    return lambda value: read(value) if isinstance(value, str) else value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _path(value: Any) -> Any:
    """A path as a person writes it, made absolute: the worker may change its directory, the shell did not see `~`."""
    if not isinstance(value, str | Path):
        return value
    text = str(value) if isinstance(value, Path) else value.strip()
    if not text or not text.isprintable():
        raise ValueError(f"{text[:80]!a} is not a path")
    try:
        return Path(text).expanduser().absolute()
    except (RuntimeError, OSError):
        raise ValueError(f"{text[:80]!a}: there is no such home directory") from None


def _http_url(value: str) -> str:
    import httpx

    try:
        url = httpx.URL(value)
    except httpx.InvalidURL as error:
        raise ValueError(f"{ascii(value)[:120]} is not a URL: {error}") from None
    if url.scheme not in ("http", "https") or not url.host or (url.port or 0) > 65535 or " " in value:
        raise ValueError(f"{ascii(value)[:120]} is not a server's URL: write http://host:5555")
    if url.userinfo:
        raise ValueError("a URL holds no password: set GYOZA_API_KEY or GYOZA_API_KEY_FILE")
    return value.rstrip("/")


def _listen_address(value: str) -> str:
    ListenAddress.parse(value)
    return value


LogLevel = Literal["critical", "error", "warning", "info", "debug", "trace"]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_list)]
LocalPath = Annotated[Path, BeforeValidator(_path)]
Paths = Annotated[tuple[LocalPath, ...], NoDecode, BeforeValidator(_list)]
Keymap = Annotated[dict[str, str], NoDecode, BeforeValidator(_keymap)]
Duration = Annotated[float, BeforeValidator(_typed(durations.seconds)), Field(allow_inf_nan=False)]
"""In seconds."""
Seconds = Annotated[Duration, Field(gt=0, le=TIMEOUT_S_MAX)]
Megabytes = Annotated[int, BeforeValidator(_typed(sizes.megabytes)), Field(ge=0, le=MEMORY_MB_MAX)]
SomeMegabytes = Annotated[Megabytes, Field(ge=1)]


class Settings(BaseSettings):
    """What the owner of a machine may decide. The docstrings below are what README and `.env.example` print."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", env_ignore_empty=True, frozen=True, hide_input_in_errors=True
    )

    server_url: Annotated[str, AfterValidator(_http_url)] = "http://localhost:5555"
    """The gyoza server."""
    api_key: SecretStr | None = None
    """The server's API key. Better in a file: `GYOZA_API_KEY_FILE`."""
    api_key_file: LocalPath | None = None
    """A file that holds the API key, readable by its owner alone. It counts before `GYOZA_API_KEY`."""
    ca_file: LocalPath | None = None
    """A file of certificates (PEM) that are trusted for `https://`, in addition to those of the system."""
    worker_id: Annotated[str, AfterValidator(check_id)] = Field(default_factory=default_worker_id)
    """The worker's name at the server. Default: the host's name."""
    state_dir: LocalPath = Field(default_factory=lambda: _users(platformdirs.user_state_dir))
    """Where the journal, logs and run directories live, below it `<host>/<worker_id>/`. Not on NFS."""
    max_runs: int = Field(default_factory=default_max_runs, ge=1, le=CPU_MAX)
    """Runs at the same time. Default: the number of cores, at most 8."""
    waiting_max: int = Field(default=0, ge=0, le=CPU_MAX)
    """Runs that wait for their children before nothing else is claimed than what runs wait for. 0: four per slot."""
    tags: Names = ()
    """Tags of this worker, comma-separated; a run may ask for some."""
    ops_file: LocalPath | None = None
    """A TOML file that lists the commands of this machine that runs may name as `local://name`."""
    log_format: Literal["text", "json"] = "text"
    """How `--no-ui` prints its events."""
    metrics_port: Annotated[str, AfterValidator(_listen_address)] | None = None
    """`[ADDRESS:]PORT` of metrics for Prometheus, and of `/health`; without an address on this machine only."""

    ui_theme: str | None = Field(default=None, min_length=1, max_length=64)
    """The screen's colours, by the theme's name in the palette. Default: the one chosen there, or `gyoza-dark`."""
    ui_ascii: bool | None = None
    """Whether the screen has ASCII characters only. Default: with `NO_COLOR`, `TERM=linux`, or no UTF-8 locale."""
    ui_mouse: bool = True
    """Whether the screen takes the mouse; `M` takes and frees it later."""
    ui_keymap: Keymap = Field(default_factory=dict)
    """Keys of your own, as `pause=P;drain=ctrl+d,f9`; the help lists the actions' names. In TOML a table."""

    reserve_cpu: int = Field(default=0, ge=0, le=CPU_MAX)
    """Cores kept back for the person at the desk."""
    reserve_ram_mb: Megabytes = 0
    """Memory kept back, in MiB."""
    reserve_vram_mb: Megabytes = 0
    """Memory kept back on each GPU, in MiB."""
    min_free_mb: Megabytes = 1024
    """No claims below this much free disk, in MiB; below a quarter the run that filled it is stopped. 0: never."""

    heartbeat_s: Seconds = 5
    """Seconds between heartbeats until the server says otherwise."""
    on_sigterm: Literal["drain", "detach"] = "drain"
    """What a first SIGTERM does: finish the runs and exit, or exit now and leave the containers for the next start."""
    drain_timeout_s: Seconds | None = None
    """A drain that takes longer detaches. Default: it takes as long as the runs."""
    on_lease_lost: Literal["continue", "stop"] = "continue"
    """What happens to containers when the server has been silent for lease and grace."""
    away_s: Duration = Field(default=3600, ge=0, le=AWAY_S_MAX)
    """How long the server keeps this worker's runs after a detach, in seconds."""
    stop_grace_s: Duration = Field(default=10, ge=0, le=3600)
    """Seconds between SIGTERM and SIGKILL when an op is stopped."""

    log_max_mb: SomeMegabytes = 512
    """What is kept of one run's output, in MiB: head and tail, the cut marked."""
    history_days: int = Field(default=14, ge=0, le=3650)
    """Days that ended runs and their logs are kept."""
    history_max_mb: SomeMegabytes = 4096
    """What the logs of ended runs may take together, in MiB; the oldest go first."""

    pull_policy: Literal["always", "missing", "never"] = "always"
    """When an image is pulled before a run."""
    pull_timeout_s: Seconds = 3600
    """A pull that takes longer has failed."""
    pull_inactivity_s: Seconds = 120
    """A pull that makes no progress for this long has failed."""
    allow_volumes: Paths = ()
    """Host directories below which a run may mount volumes, comma-separated."""
    allow_submit: MaySubmit = MaySubmit.DEFINITIONS
    """The most that runs here may create: no, definitions, any; a run must ask for it by its `may_submit`."""
    docker_network: str = Field(default="bridge", min_length=1, max_length=128)
    """The network of containers."""
    docker_cap_add: Names = ()
    """Capabilities left to containers (all others are dropped); `ALL` keeps the engine's default set."""
    docker_new_privileges: bool = False
    """Whether setuid programs may raise privileges in containers."""
    docker_io: Literal["auto", "bind", "volume"] = "auto"
    """How `/gyoza` gets into a container."""
    pids_limit: int = Field(default=4096, ge=16, le=4_000_000)
    """Threads and processes of one container."""
    shm_mb: SomeMegabytes = 1024
    """`/dev/shm` of a container, in MiB."""
    container_log_mb: SomeMegabytes = 512
    """What the engine keeps of a container's output for taking it up again after a crash, in MiB."""

    server_host: str = "127.0.0.1"
    """`serve`: the address to listen at. Beyond loopback a key is required."""
    server_port: int = Field(default=5555, ge=0, le=65535)
    """`serve`: the port to listen at; 0 takes a free one."""
    server_log_level: Annotated[LogLevel, BeforeValidator(_lower)] = "warning"
    """`serve`: what it logs to stderr, from this level up:"""
    database: str = ""
    """`serve`: the database, as `sqlite:///path`. Default: `server.db` under the state directory."""
    secret_env_days: float = Field(default=7, ge=0, le=3650, allow_inf_nan=False)
    """`serve`: days that a run that failed or was cancelled keeps its secret values, so that it can be retried."""
    passed_over_s: Duration = Field(default=60, ge=0, le=86400)
    """`serve`: seconds that smaller runs may pass a large one before a worker is reserved for it; 0: never."""
    work_key_file: LocalPath | None = None
    """`serve`: a file with the key for workers. `GYOZA_API_KEY` or `GYOZA_API_KEY_FILE` is the administrator's then."""
    submit_key_file: LocalPath | None = None
    """`serve`: a file with the key for users and programs that submit runs."""

    @field_validator("api_key")
    @classmethod
    def _api_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and not can_be_key(key.get_secret_value()):
            raise ValueError("a key is one line of printable ASCII, at most 4096 characters")
        return key

    @field_validator("ca_file")
    @classmethod
    def _ca_file(cls, path: Path | None) -> Path | None:
        if path is not None:
            import ssl

            try:
                if not path.is_file():
                    raise ValueError(f"{path} is no file")
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
            except ssl.SSLError:
                raise ValueError(f"{path} holds no certificate in PEM form") from None
            except OSError as error:
                raise ValueError(f"{path} cannot be read: {error.strerror}") from None
        return path

    @field_validator("tags")
    @classmethod
    def _tags(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        for tag in tags:
            check_id(tag)
        return tags

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        from pydantic_settings import EnvSettingsSource, InitSettingsSource, TomlConfigSettingsSource

        assert isinstance(init_settings, InitSettingsSource)
        from_file = EnvSettingsSource(settings_cls, env_prefix=PREFIX)
        from_file.env_vars = init_settings.init_kwargs.get(OF_ENV_FILE, {})
        return init_settings, env_settings, from_file, TomlConfigSettingsSource(settings_cls, toml_file=config_file())

    _unread_env_file: Path | None = PrivateAttr(default=None)

    @property
    def unread_env_file(self) -> Path | None:
        """A `.env` of the current directory that has settings, and was not named to `load`."""
        return self._unread_env_file

    @property
    def warnings(self) -> list[str]:
        """What is no fault, but may not be meant."""
        unread = self.unread_env_file
        return _unknown_in_environment() + ([f"{unread} {env_files.UNREAD}"] if unread else [])

    @property
    def key_in_clear_to(self) -> str | None:
        """The other machine to which the key goes unencrypted; None when it does not."""
        url = urlsplit(self.server_url)
        has_key = self.api_key is not None or self.api_key_file is not None
        return url.hostname if has_key and url.scheme == "http" and not is_loopback(url.hostname or "") else None

    def key(self) -> str | None:
        """The API key from its file or its setting; SettingsError when the file cannot be read or is empty."""
        return chosen_key(self.api_key_file, self.api_key.get_secret_value() if self.api_key else None)


def config_file() -> Path:
    """The TOML file of settings: `GYOZA_CONFIG`, or `config.toml` in the user's configuration directory."""
    if named := os.environ.get("GYOZA_CONFIG"):
        return Path(named)
    return _users(platformdirs.user_config_dir) / "config.toml"


def _users(directory: Callable[..., str]) -> Path:
    """One of this user's directories; SettingsError for a user without a home, as a bare number in a container."""
    try:
        return Path(directory("gyoza-tui", appauthor=False))
    except RuntimeError:
        raise SettingsError(f"user {os.getuid()} has no home directory: set HOME") from None


def _faults_in_toml() -> tuple[list[str], list[str]]:
    """Why the file cannot be read, and its names that are no settings."""
    broken, unknown = [], []
    path = config_file()
    try:
        wanted = path.exists() or bool(os.environ.get("GYOZA_CONFIG"))
        content = tomllib.loads(path.read_text()) if wanted else {}
    except (OSError, ValueError, RecursionError) as error:
        broken.append(f"{path} cannot be read: {_cause(error)}")
    else:
        names = list(Settings.model_fields)
        unknown += [
            f"{path}: {name} is not a setting{did_you_mean(nearest(name.lower().removeprefix(PREFIX.lower()), names))}"
            for name in content
            if name not in names
        ]
    return broken, unknown


def _cause(error: OSError | ValueError | RecursionError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else why_unreadable(error)


def unknown_variables() -> dict[str, str | None]:
    """Each `GYOZA_*` in the environment that is no setting, with the one that is nearest to it."""
    variables = [PREFIX + name.upper() for name in Settings.model_fields]
    known = NOT_SETTINGS | OP_VARIABLES | set(variables)
    unknown = [name for name in sorted(os.environ) if name.startswith(PREFIX) and name not in known]
    return {name: nearest(name, variables) for name in unknown}


def _unknown_in_environment() -> list[str]:
    """A warning for each of them; it may be another program's."""
    near = unknown_variables()
    return [f"{name} in the environment is not a setting{did_you_mean(near[name])}" for name in near]


def _unknown_in_env_file(path: Path | None, found: dict[str, str]) -> list[str]:
    variables = [PREFIX + name.upper() for name in Settings.model_fields]
    names = [name for name in map(str.upper, found) if name.startswith(PREFIX)]
    unknown = [name for name in names if name not in variables and name not in OP_VARIABLES]
    return [f"{path}: {name} is not a setting{did_you_mean(nearest(name, variables))}" for name in unknown]


def load(*, env_file: str | None = None, **flags: Any) -> Settings:
    """The settings with `flags` on top (None: not given). SettingsError lists every fault of every source.

    `env_file` names a file of variables that are read as if they were in the environment.
    """
    from pydantic import ValidationError
    from pydantic_settings import SettingsError as SourceError

    given = {name: value for name, value in flags.items() if value is not None}
    broken, faults = _faults_in_toml()
    path, of_file = env_files.named(env_file), dict[str, str]()
    try:
        of_file = env_files.variables(path)
    except (OSError, ValueError) as error:
        broken.append(f"{path} cannot be read: {_cause(error)}")
    faults += _unknown_in_env_file(path, of_file)
    if broken:
        raise SettingsError("\n".join(broken + faults))
    try:
        settings = Settings(**given | {OF_ENV_FILE: of_file})
    except ValidationError as error:
        faults += [
            f"{_origin(str(e['loc'][0]), given)}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()
        ]
    except SourceError as error:
        faults.append(str(error))
    if faults:
        raise SettingsError("\n".join(faults))
    settings._unread_env_file = env_files.unread(path)
    return settings


def _origin(field: str, given: dict[str, Any]) -> str:
    if field in given:
        return _FLAGS.get(field, "--" + field.replace("_", "-"))
    variable = PREFIX + field.upper()
    return variable if variable in os.environ else f"{variable} / {field}"
