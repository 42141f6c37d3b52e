"""`make e2e-free`: every free model, from the user's click to the picture in the chat.

Each model runs twice through real processes and public ports: once finished by KIE's callback, once
with callbacks switched off. KIE is the sandbox, or with RUN_E2E=1 the real one; the chat is always
the sandbox's. What is printed is read from event rows and counters.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

from pydantic import Field, SecretStr

from generation_svc.catalog import load_catalog
from generation_svc.domain.model import Model
from generation_svc.domain.quote import quote
from generation_svc.storage.embedded.server import embedded_postgres
from runtime.settings import ProcessSettings
from tests.e2e.measure import Counters, Run, counters, measured
from tests.e2e.person import Person, photo
from tests.e2e.stack import Shape, Stack, stack

FOLDER = Path(".atelier/e2e-free")
"""Where the processes of a run leave their logs."""
CREDIT_USD = Decimal("0.005")
WAYS = ("callback", "poll")
PICTURE_S = 120.0
EXIT_NO_KEYS = 2


class RealKie(ProcessSettings):
    """What a run at the real KIE needs from the environment."""

    kie_api_key: SecretStr | None = None
    kie_api_url: str = "https://api.kie.ai"
    kie_upload_url: str = "https://kieai.redpandaai.co"
    kie_webhook_hmac_key: SecretStr = SecretStr("")
    callback_base_url: str = ""
    gateway_listen: str = Field("127.0.0.1:8080")

    @property
    def missing(self) -> str:
        """The names of the settings that are not there."""
        named = {"KIE_API_KEY": self.kie_api_key, "CALLBACK_BASE_URL": self.callback_base_url}
        return " and ".join(name for name, value in named.items() if not value)

    def shape(self) -> Shape:
        """Return a stack whose service calls the real KIE."""
        key = self.kie_api_key.get_secret_value() if self.kie_api_key else ""
        service = {
            "KIE_API_KEY": key,
            "KIE_API_URL": self.kie_api_url,
            "KIE_UPLOAD_URL": self.kie_upload_url,
            "KIE_WEBHOOK_HMAC_KEY": self.kie_webhook_hmac_key.get_secret_value(),
            "KIE_RESULT_HOSTS": "",  # those of KIE
            "CALLBACK_BASE_URL": self.callback_base_url,
        }
        return Shape(service=service, gateway_listen=self.gateway_listen)


def main() -> int:
    """Run everything; return 0 only if every model passed in both ways."""
    models = [model for model in load_catalog().models.values() if model.is_free]
    if os.environ.get("RUN_E2E") != "1":
        return asyncio.run(_run(models, Shape(), folder=FOLDER.absolute()))
    real = RealKie.load()
    if real.missing:
        _say(f"RUN_E2E=1 uses the real KIE and needs {real.missing}; nothing was run.")
        return EXIT_NO_KEYS
    _say(cost_of(models))
    return asyncio.run(_run(models, real.shape(), folder=FOLDER.absolute()))


def cost_of(models: list[Model]) -> str:
    """Return what a run at the real KIE costs at most."""
    credits_ = sum((_price(model) for model in models), Decimal(0)) * len(WAYS)
    usd = credits_ * CREDIT_USD
    runs = len(models) * len(WAYS)
    return f"The real KIE: {runs} pictures, at most {credits_:.1f} KIE credits ({usd:.3f} USD)."


async def _run(models: list[Model], shape: Shape, *, folder: Path) -> int:
    shutil.rmtree(folder, ignore_errors=True)
    async with (
        embedded_postgres(folder / "postgres", durable=False) as url,
        stack(folder, database_url=url, shape=shape) as started,
    ):
        runs, first = await _half(started, models, way="callback")
        await started.service.restart(CALLBACK_BASE_URL="")
        more, second = await _half(started, models, way="poll")
    # The gateway ran through both halves, so that its counters are those of the second.
    lost = first.jobs_not_found + second.jobs_not_found
    return _summary([*runs, *more], Counters(second.callback_4xx, lost))


async def _half(started: Stack, models: list[Model], *, way: str) -> tuple[list[Run], Counters]:
    runs = []
    for model in models:
        runs.append(await _draw(started, model, way=way))
        _say(str(runs[-1]))
    return runs, await counters(started)


async def _draw(started: Stack, model: Model, *, way: str) -> Run:
    """Have a new user ask for one picture and wait for it."""
    run, before = Run(model_id=model.id, way=way), await counters(started)
    prompt = f"A lighthouse on a cliff, {way}, {uuid4().hex[:6]}"
    try:
        person = await started.telegram.person(first_name="Ada")
        await _ask(person, model, prompt=prompt)
        await person.gets_picture(within_s=PICTURE_S)
        run = await measured(started, prompt, run=run)
    except AssertionError as problem:
        run = replace(run, problem=" ".join(str(problem).split())[:300])
    lost = (await counters(started)).jobs_not_found - before.jobs_not_found
    return replace(run, jobs_not_found=lost)


async def _ask(person: Person, model: Model, *, prompt: str) -> None:
    await person.says("/models")
    await person.presses(model.title.en)
    if model.media_inputs:
        await person.sends_photo(photo())
    await person.says(prompt)
    await person.presses("✨ Generate")


def _summary(runs: list[Run], found: Counters) -> int:
    models = {run.model_id for run in runs}
    failed = {run.model_id for run in runs if not run.is_passed}
    ttfb = sum(run.acceptance_s for run in runs) / len(runs)
    total = sum(run.total_s for run in runs) / len(runs)
    _say(f"SUMMARY: {len(models - failed)}/{len(models)} passed, {len(failed)} failed")
    _say(
        f"callback_4xx={found.callback_4xx} job_not_found={found.jobs_not_found}"
        f" avg_ttfb={ttfb:.2f}s avg_total_time={total:.2f}s"
    )
    return 1 if failed or found.callback_4xx or found.jobs_not_found else 0


def _price(model: Model) -> Decimal:
    """Return what the provider's smallest inputs cost: the defaults of the model."""
    return quote(model.offer.price, {}, defaults=model.defaults, measured={}).credits


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
