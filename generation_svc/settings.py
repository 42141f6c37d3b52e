"""The settings of the service."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from generation_svc.caller import parse_callers
from generation_svc.domain.account import DEFAULT_ACCOUNT
from generation_svc.egress.host import HostRule
from generation_svc.media.fetch import KIE_RESULT_HOSTS
from generation_svc.media.store import check_media_url
from generation_svc.money_settings import MoneySettings
from generation_svc.provider.kie.account import parse_accounts
from generation_svc.storage.connection import check_database_url
from runtime.address import Address
from runtime.certificate import CertificateFiles
from runtime.settings import HeaderSecret, Names
from runtime.web_address import WebAddress

_REAL_KIE = "kie.ai"
MIN_LINK_KEY_CHARS = 32
"""The shortest key that signs links: 128 bits, if it is hexadecimal."""


def _exact(entries: tuple[str, ...]) -> tuple[str, ...]:
    for entry in entries:
        if HostRule.parse(entry).port is None:
            raise ValueError(f"{entry!r} is not a host:port")
    return entries


def _hosts(entries: tuple[str, ...]) -> tuple[str, ...]:
    for entry in entries:
        HostRule.parse(entry)
    return entries


Hosts = Annotated[Names, AfterValidator(_hosts)]
"""A comma-separated list of `host`, `*.suffix` or `host:port`."""

ExactHosts = Annotated[Names, AfterValidator(_exact)]
"""A comma-separated list of `host:port`."""


def _checked(text: SecretStr) -> SecretStr:
    parse_callers(text.get_secret_value())
    return text


CallersText = Annotated[SecretStr, AfterValidator(_checked)]
"""A callers' document that can be read."""


def _accounts(text: SecretStr) -> SecretStr:
    parse_accounts(text.get_secret_value())
    return text


AccountsText = Annotated[SecretStr, AfterValidator(_accounts)]
"""Accounts as `name:key`, with commas or lines in between."""


def _listed(text: SecretStr) -> SecretStr:
    if not all(part.strip() for part in text.get_secret_value().split(",")):
        raise ValueError("a key between two commas is empty")
    return text


SecretNames = Annotated[SecretStr, AfterValidator(_listed)]
"""A comma-separated list of secrets."""


def _database_url(url: SecretStr) -> SecretStr:
    check_database_url(url.get_secret_value())
    return url


DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
"""Where a PostgreSQL is, as libpq writes it."""


def _media_url(url: str) -> str:
    check_media_url(url)
    return url


MediaUrl = Annotated[str, AfterValidator(_media_url)]
"""A folder or a bucket."""


class GenerationSettings(MoneySettings):
    """What the service is told: its addresses, its account at KIE, its limits."""

    generation_listen: Address = Field(Address("127.0.0.1", 50051), examples=["127.0.0.1:50051"])
    """Where the service takes gRPC calls."""

    generation_tls: Literal["on", "elsewhere"] | None = None
    """Who encrypts: on is the service, with its certificate; elsewhere a proxy in front of it."""

    generation_tls_certificate_file: Path | None = None
    """The file with the service's certificate and those between it and its authority, in PEM."""

    generation_tls_key_file: Path | None = None
    """The file with the key of the service's certificate, in PEM and without a password."""

    generation_tls_client_ca_file: Path | None = None
    """The file with the authorities of clients; when set, a client must show a certificate."""

    generation_callers: CallersText | None = None
    """Who may call, in TOML; when empty everybody may who reaches our loopback address."""

    generation_callers_file: Path | None = Field(None, examples=["/etc/atelier/callers.toml"])
    """The file with GENERATION_CALLERS; the service follows its changes while it runs."""

    caller_calls_per_s: int = Field(500, ge=1, le=1_000_000)
    """Calls per second of one caller, where its entry says nothing; at once may come twice that."""

    owner_jobs_per_min: int = Field(60, ge=1, le=1_000_000)
    """Jobs and uploads per minute of one owner of a caller, where its entry says nothing."""

    database_url: DatabaseUrl | None = Field(
        None, examples=["postgresql://user:password@host/name"]
    )
    """The PostgreSQL database; when empty the service runs one of its own under DATA_FOLDER."""

    database_pool_size: int = Field(20, ge=4, le=500)
    """The greatest number of connections to the database."""

    data_folder: str = ".atelier"
    """Where a database and a media store of our own keep their files."""

    media_url: MediaUrl = Field(
        "", examples=["file:///var/lib/atelier/media", "s3://bucket/prefix"]
    )
    """Where results and uploads are kept; a folder under DATA_FOLDER when empty."""

    media_base_url: WebAddress = Field("", examples=["https://media.example.org"])
    """The public address of the gateway for signed links to media; when empty there are none."""

    media_link_key: SecretStr | None = Field(None, examples=["32 random characters or more"])
    """The key that signs links to media, the same in every replica; another one ends all links."""

    media_link_lifetime_s: float = Field(3600, ge=60, le=604_800)
    """Seconds for which a link to media holds, and up to a quarter more."""

    kie_api_key: HeaderSecret | None = Field(None, examples=["the key from KIE's account page"])
    """The key of the account at KIE, if there is only one; its name is default."""

    kie_api_keys: AccountsText | None = Field(None, examples=["default:KEY,second:KEY"])
    """Several accounts at KIE as name:key, with commas or lines in between."""

    kie_api_url: WebAddress = "https://api.kie.ai"
    """Where KIE's API is."""

    kie_upload_url: WebAddress = "https://kieai.redpandaai.co"
    """Where media are handed to KIE."""

    kie_webhook_hmac_key: SecretStr | None = None
    """The key with which KIE signs callbacks; when set, an unsigned callback is only a hint."""

    kie_webhook_hmac_keys: SecretNames | None = None
    """Such keys of several accounts, with commas in between: each of them proves a callback."""

    kie_result_hosts: Hosts = KIE_RESULT_HOSTS
    """The hosts that results may be fetched from; a private address only if it is named here."""

    webhook_allowed_hosts: ExactHosts = Field((), examples=["hooks.internal:8080"])
    """Receivers of webhooks, as host:port, that may be on a private network and without TLS."""

    kie_create_limit: int = Field(18, ge=1, le=1000)
    """Calls of createTask per 10 s on each account; KIE allows 20."""

    kie_read_limit: int = Field(10, ge=1, le=1000)
    """Calls of recordInfo per second on each account; KIE allows 10 for each task."""

    kie_max_concurrent: int = Field(100, ge=1, le=10000)
    """Tasks at KIE at once on each account."""

    callback_base_url: WebAddress = Field("", examples=["https://callbacks.example.org"])
    """The public address of the gateway; when empty KIE is only polled."""

    owner_max_active_jobs: int = Field(20, ge=1, le=100000)
    """Unfinished jobs that one owner may have at once."""

    free_jobs_per_day: int | None = Field(None, ge=1, le=1_000_000)
    """Jobs of free models that one owner may start in a day (UTC); when empty any number."""

    max_queued_jobs: int = Field(100_000, ge=1, le=10_000_000)
    """Jobs in the queue; further ones are refused with RESOURCE_EXHAUSTED."""

    caller_max_queued_jobs: int = Field(20_000, ge=1, le=10_000_000)
    """Jobs of one caller in the queue."""

    max_calls: int = Field(8_000, ge=1, le=1_000_000)
    """Calls that this process answers at once; callbacks and deliveries are not among them."""

    caller_max_calls: int = Field(5_000, ge=1, le=1_000_000)
    """Calls of one caller that this process answers at once."""

    max_waits: int = Field(20_000, ge=1, le=1_000_000)
    """Streams and waits for a job that are open at once in this process."""

    caller_max_waits: int = Field(10_000, ge=1, le=1_000_000)
    """Streams and waits of one caller that are open at once in this process."""

    generation_reflection: Literal["on", "off"] = "on"
    """Whether server reflection is enabled for everyone who can reach the service."""

    max_connections: int = Field(10_000, ge=1, le=1_000_000)
    """Connections at once; fewer where the limit on open files leaves no room for as many."""

    connection_max_streams: int = Field(10_000, ge=1, le=1_000_000)
    """Calls open on one connection at once; its client keeps back what is more."""

    max_unread_mb: int = Field(256, ge=1, le=1_000_000)
    """MiB of answers, with what belongs to them, that may wait for clients to read them."""

    caller_max_unread_mb: int = Field(64, ge=1, le=1_000_000)
    """MiB of them for one caller."""

    max_upload_mb: int = Field(500, ge=1, le=500)
    """MiB of one upload at most, however much a model takes."""

    upload_budget_mb: int = Field(2048, ge=10, le=1_000_000)
    """MiB of all uploads that this process is taking at once; they lie under DATA_FOLDER."""

    caller_upload_budget_mb: int = Field(1024, ge=10, le=1_000_000)
    """MiB of one caller's uploads that this process is taking at once."""

    upload_processes: int = Field(3, ge=1, le=64)
    """Processes that examine uploads, of which a caller has all but one at most."""

    time_scale: Annotated[float, Field(gt=0, le=10)] = 1.0
    """What every wait for KIE is multiplied with: less than 1 for tests."""

    start_deadline_s: float = Field(7200, gt=0, le=30 * 86_400)
    """Seconds from accept by which KIE must have taken a job."""

    result_fetch_timeout_s: float = Field(900, ge=60, le=86_400)
    """Seconds for which fetching a result is tried; what was fetched by then is the result."""

    model_rest_s: float = Field(600, ge=10, le=86_400)
    """Seconds for which a model that KIE switched off is hidden before one job tries it again."""

    job_retention_days: int = Field(90, ge=1, le=36_500)
    """Days for which a job is kept with its events after it ended, and never before its media."""

    callback_retention_days: int = Field(14, ge=1, le=36_500)
    """Days for which what KIE posted is kept."""

    video_retention_days: int = Field(14, ge=1, le=36_500)
    """Days for which videos are kept after their job ended."""

    media_retention_days: int = Field(35, ge=1, le=36_500)
    """Days for which all other results are kept after their job ended."""

    upload_retention_days: int = Field(35, ge=1, le=36_500)
    """Days for which an upload is kept after a job used it last."""

    max_stored_mb: int = Field(2**20, ge=1, le=2**40)
    """MiB of results and uploads that are kept; then nothing new is accepted."""

    owner_max_stored_mb: int = Field(5120, ge=1, le=2**40)
    """MiB of them for one owner of a caller."""

    disk_filling_percent: int = Field(90, ge=1, le=100)
    """From which use of a disk on uploads and large jobs are refused."""

    disk_full_percent: int = Field(97, ge=1, le=100)
    """From which use of a disk on all jobs are refused."""

    stop_grace_s: float = Field(25, ge=0, le=300)
    """Seconds that work under way gets to finish when the service stops."""

    @model_validator(mode="after")
    def _accounts_are_said_once(self) -> Self:
        if self.kie_api_key and self.kie_api_keys:
            rule = "put every key into KIE_API_KEYS, that of KIE_API_KEY as default:KEY"
            raise ValueError(f"KIE_API_KEY and KIE_API_KEYS are both set: {rule}")
        if not self.kie_api_key and not self.kie_api_keys:
            example = "the key from KIE's account page"
            raise ValueError(
                "KIE_API_KEY is missing. The key of the account at KIE; several accounts stand in"
                f" KIE_API_KEYS. For example: {example}"
            )
        return self

    @model_validator(mode="after")
    def _real_work_is_paid(self) -> Self:
        host = (urlsplit(self.kie_api_url).hostname or "").rstrip(".")
        if self.unpaid_models == "allow" and self.is_kie_real:
            raise ValueError(f"UNPAID_MODELS=allow is for a sandbox, but KIE_API_URL is {host}")
        if self.unpaid_models == "allow" and self.money:
            raise ValueError(
                f"MONEY={self.money} and UNPAID_MODELS=allow are both set: models are sold, or they"
                " are used unpaid"
            )
        if self.star_packs and not self.money:
            raise ValueError("STAR_PACKS is set, but MONEY is empty: set MONEY, or sell nothing")
        if self.money == "live" and not self.is_kie_real:
            raise ValueError(
                f"MONEY=live is for the real KIE, but KIE_API_URL is {host}: use MONEY=test"
            )
        return self

    @property
    def is_kie_real(self) -> bool:
        """Whether KIE is the one that costs money, and no sandbox."""
        host = (urlsplit(self.kie_api_url).hostname or "").rstrip(".")
        return f".{host}".endswith(f".{_REAL_KIE}")

    @property
    def kie_accounts(self) -> Mapping[str, str]:
        """The keys of the accounts at KIE by name."""
        if self.kie_api_keys:
            return parse_accounts(self.kie_api_keys.get_secret_value())
        key = self.kie_api_key.get_secret_value() if self.kie_api_key else ""
        return {DEFAULT_ACCOUNT: key}

    @property
    def kie_hmac_keys(self) -> tuple[str, ...]:
        """Every key with which KIE may sign a callback."""
        one = self.kie_webhook_hmac_key
        several = self.kie_webhook_hmac_keys
        keys = several.get_secret_value().split(",") if several else []
        return tuple(key.strip() for key in ([one.get_secret_value()] if one else []) + keys)

    @model_validator(mode="after")
    def _links_are_signed(self) -> Self:
        key = self.media_link_key.get_secret_value() if self.media_link_key else ""
        if self.media_base_url and len(key) < MIN_LINK_KEY_CHARS:
            wanted = f"a secret of at least {MIN_LINK_KEY_CHARS} characters"
            raise ValueError(f"MEDIA_LINK_KEY must be {wanted} where MEDIA_BASE_URL is set")
        return self

    @model_validator(mode="after")
    def _callers_are_some(self) -> Self:
        if self.generation_callers_file and self.generation_callers is None:
            raise ValueError("GENERATION_CALLERS_FILE names an empty file")
        return self

    @property
    def tls_files(self) -> CertificateFiles | None:
        """Where the certificates of the service are; None where it does not encrypt."""
        if self.generation_tls_certificate_file is None:
            return None
        return CertificateFiles(
            chain=self.generation_tls_certificate_file,
            key=self.generation_tls_key_file,
            authorities=self.generation_tls_client_ca_file,
        )

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        certificate, key = self.generation_tls_certificate_file, self.generation_tls_key_file
        if (certificate is None) != (key is None):
            names = "GENERATION_TLS_CERTIFICATE_FILE and GENERATION_TLS_KEY_FILE"
            raise ValueError(f"{names} must be set together")
        wants = self.generation_tls == "on" or self.generation_tls_client_ca_file is not None
        if wants and certificate is None:
            raise ValueError("TLS needs GENERATION_TLS_CERTIFICATE_FILE")
        if self.generation_tls == "elsewhere" and certificate:
            raise ValueError("GENERATION_TLS=elsewhere and a certificate contradict each other")
        return self
