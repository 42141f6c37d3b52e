"""The pictures of the sandbox KIE: sizes, formats, prompts, edits."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image, ImageChops

from sandbox.kie.model import RATIOS, SIZES
from sandbox.kie.picture import paint, write
from tests.integration.sandbox_kie import SandboxKie, picture, sandbox_kie


@pytest_asyncio.fixture(scope="module")
async def kie() -> AsyncIterator[SandboxKie]:
    async with sandbox_kie() as running:
        yield running


def difference(one: Image.Image, other: Image.Image) -> Any:
    return ImageChops.difference(one.convert("RGB"), other.convert("RGB")).getbbox()


@pytest.mark.parametrize("ratio", RATIOS)
async def test_z_image_has_the_size_of_its_ratio(kie: SandboxKie, ratio: str) -> None:
    (link,) = await kie.results(await kie.task(prompt="fox", aspect_ratio=ratio))
    assert (await kie.picture(link)).size == RATIOS[ratio]


@pytest.mark.parametrize("size", SIZES)
async def test_qwen_has_the_size_asked_for(kie: SandboxKie, size: str) -> None:
    task_id = await kie.task(
        "qwen/text-to-image", prompt="fox", image_size=size, output_format="jpeg"
    )
    (link,) = await kie.results(task_id)
    drawn = await kie.picture(link)
    assert (drawn.size, drawn.format) == (SIZES[size], "JPEG")
    assert (await kie.ended(task_id))["creditsConsumed"] == pytest.approx(
        4e-6 * SIZES[size][0] * SIZES[size][1], abs=0.01
    )


@pytest.mark.parametrize("texts", [("лиса", "сова"), ("fox", "owl"), ("fox", "")])
def test_every_text_is_drawn_as_itself(texts: tuple[str, str]) -> None:
    def written(text: str) -> Image.Image:
        ground = Image.new("RGB", (256, 256), "teal")
        write(ground, text, box=(0, 0, 256, 256))
        return ground

    assert difference(*map(written, texts))
    assert difference(written(texts[0]), written(texts[0])) is None


@pytest.mark.parametrize("text", ["слово " * 800, "x" * 5000, "\n\n", "𝕏 🦊 \x00"])
def test_any_prompt_can_be_drawn(text: str) -> None:
    assert paint(text, size=(512, 512), seed=0).size == (512, 512)


async def test_image_to_image_changes_the_upload_and_keeps_its_size(kie: SandboxKie) -> None:
    source = await kie.upload(picture(size=(300, 200)))
    task_id = await kie.task("qwen/image-to-image", prompt="сделай ночь", image_url=source)
    (link,) = await kie.results(task_id)
    drawn = await kie.picture(link)
    assert drawn.size == (300, 200)
    assert difference(drawn, await kie.picture(source))


async def test_image_edit_makes_as_many_pictures_as_asked_for(kie: SandboxKie) -> None:
    source = await kie.upload(picture())
    task_id = await kie.task("qwen/image-edit", prompt="night", image_url=source, num_images="3")
    drawn = [await kie.picture(link) for link in await kie.results(task_id)]
    assert [each.size for each in drawn] == [SIZES["landscape_4_3"]] * 3
    assert difference(drawn[0], drawn[1])
    assert (await kie.ended(task_id))["creditsConsumed"] == pytest.approx(14.16, abs=0.01)


@pytest.mark.parametrize(
    ("model", "fields", "is_same"),
    [
        ("z-image", {}, False),
        ("z-image", {"seed": 7}, False),
        ("qwen/text-to-image", {}, False),
        ("qwen/text-to-image", {"seed": 7}, True),
        ("qwen/image-edit", {}, False),
        ("qwen/image-edit", {"seed": 7}, True),
    ],
    ids=["no seed", "takes no seed", "qwen without", "qwen with", "edit without", "edit with"],
)
async def test_the_same_request_gives_another_picture_unless_it_has_a_seed(
    kie: SandboxKie, model: str, fields: dict[str, Any], is_same: bool
) -> None:
    if model == "qwen/image-edit":
        fields = fields | {"image_url": await kie.upload(picture())}
    drawn = []
    for _ in range(2):
        (link,) = await kie.results(await kie.task(model, prompt="fox", **fields))
        drawn.append(await kie.picture(link))
    assert (difference(*drawn) is None) == is_same


async def test_a_picture_is_fetched_from_another_host(kie: SandboxKie) -> None:
    async with sandbox_kie() as foreign:
        source = await foreign.upload(picture(size=(120, 90)))
        task_id = await kie.task("qwen/image-to-image", prompt="night", image_url=source)
        (link,) = await kie.results(task_id)
    assert (await kie.picture(link)).size == (120, 90)


@pytest.mark.parametrize(
    "link",
    ["http://127.0.0.1:1/x.png", "not a link", "{url}/missing.png", "{url}/sandbox/counters"],
)
async def test_a_picture_that_cannot_be_fetched_fails_the_task(kie: SandboxKie, link: str) -> None:
    task_id = await kie.task("qwen/image-edit", prompt="night", image_url=link.format(url=kie.url))
    record = await kie.ended(task_id)
    assert (record["state"], record["failCode"]) == ("fail", "400")
    assert record["failMsg"].startswith("Image fetch failed.")
