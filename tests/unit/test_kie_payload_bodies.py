import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from generation_svc.domain.observation import Observation, ProviderState, ResultItem
from generation_svc.provider.kie.payload import read_body, read_record
from tests.kie_body import ABOUT_A_TASK, EXAMPLES

PENDING, SUCCEEDED, FAILED, MISSING, UNKNOWN = (
    ProviderState.PENDING,
    ProviderState.SUCCEEDED,
    ProviderState.FAILED,
    ProviderState.MISSING,
    ProviderState.UNKNOWN,
)


def succeeded(
    task_id: str,
    *results: str | ResultItem,
    word: str | None = "success",
    text: str = "",
    item_ids: tuple[str, ...] = (),
    cost: Decimal | None = None,
) -> Observation:
    items = tuple(ResultItem(each) if isinstance(each, str) else each for each in results)
    return Observation(
        SUCCEEDED,
        task_id=task_id,
        word=word,
        results=items,
        result_text=text,
        item_ids=item_ids,
        cost=cost,
    )


def failed(
    task_id: str | None,
    code: str,
    message: str,
    *,
    word: str | None = None,
    cost: Decimal | None = None,
) -> Observation:
    return Observation(
        FAILED, task_id=task_id, word=word, fail_code=code, fail_message=message, cost=cost
    )


FILES = "https://tempfile.aiquickdraw.com"
LYRICS = EXAMPLES["35 suno-api callback: generate-lyrics-callbacks"]["body"]["data"]["data"][0][
    "text"
]

EXPECTED: dict[str, Observation] = {
    "09 recordInfo waiting": Observation(
        PENDING, task_id="181aa92da8ed02fbaa6d85dd1a5795e3", word="waiting"
    ),
    "10 recordInfo generating": Observation(
        PENDING, task_id="330a9433fd309e9e18df1c567ae38471", word="generating"
    ),
    "11 recordInfo success image": succeeded(
        "330a9433fd309e9e18df1c567ae38471",
        f"{FILES}/images/chatgpt/file_0000000075ec71f7bb69819392f67227.png",
    ),
    "12 recordInfo success": succeeded(
        "f8979ca2ef2635ecbead815bfad6ff24",
        f"{FILES}/na2/f8979ca2ef2635ecbead815bfad6ff241151083.png",
    ),
    "13 recordInfo success": succeeded(
        "a6ed9927670fc6e863aa29127b47de99",
        f"{FILES}/g/users/7f52053b-20f8-4a8c-8cf1-3be48f1cb471/generated/"
        "b87503a8-51c4-4c58-8c83-c20e58728811/generated_video.mp4",
    ),
    "14 recordInfo success": succeeded(
        "75b7b726864920bec61affce7f6fabd8",
        f"{FILES}/happyhorse-v1_0/1777535237282-rmhp2dyqljb.mp4",
    ),
    "15 recordInfo success": succeeded(
        "ce18826cf06d8aaca05c28048f3dae6f",
        f"{FILES}/r/ce18826cf06d8aaca05c28048f3dae6f_1776485973_6en52w0y.png",
    ),
    "16 recordInfo success": succeeded(
        "55412d3aa64b37d1711e79aac4784669",
        f"{FILES}/wan27-image-alibaba/1776323942886-21s793xts49.png",
    ),
    "17 recordInfo fail": failed(
        None, "500", "Internal Error, Please try again later.", word="fail", cost=Decimal(0)
    ),
    "22 Market callback success z-image, captured": succeeded(
        "1134f5cf800a6be035c8794c90d53760",
        f"{FILES}/js/z5/e0d4aad91621.png",
        cost=Decimal("0.8"),
    ),
    "23 Market callback success, newest official": succeeded(
        "bd8f4b1a52048d0f17a38b49591abfa1",
        f"{FILES}/wan30-video-prime-alibaba/1787567408129-b1fmz5um3co.mp4",
        cost=Decimal(61),
    ),
    "24 Market callback fail, captured": failed(
        "d4e8ec16f0513610e48a431d2c649c53",
        "500",
        "Inappropriate content, please try another prompt.",
        word="fail",
    ),
    "25 Market callback fail, elevenlabs/audio-isolation official": failed(
        "task_example_music_webhook_001",
        "GENERATION_FAILED",
        "The generation task failed.",
        word="fail",
    ),
    "26 Answer the receiver should give": Observation(UNKNOWN),
    "27 Signed callback, official sample": Observation(
        UNKNOWN, task_id="ee9c2715375b7837f8bb51d641ff5863", word="task_completed"
    ),
    "28 4o-image-api callback: generate-4-o-image-callbacks": succeeded(
        "task12345", "https://example.com/result/image1.png", word=None
    ),
    "29 flux-kontext-api callback: generate-or-edit-image-callbacks": succeeded(
        "task12345", "https://example.com/result.jpg", word=None
    ),
    "30 flux-kontext-api callback: generate-or-edit-image-callbacks": failed(
        "task12345", "501", "Image generation task failed"
    ),
    "31 runway-api callback: extend-ai-video-callbacks": succeeded(
        "ee603959-debb-48d1-98c4-a6d1c717eba6",
        ResultItem("https://file.com/k/xxxxxxx.mp4", cover_url="https://file.com/m/xxxxxxxx.png"),
        word=None,
    ),
    "32 runway-api callback: generate-ai-video-callbacks": failed(
        "ee603959-debb-48d1-98c4-a6d1c717eba6",
        "400",
        "Inappropriate content detected. Please replace the image or video.",
    ),
    "33 suno-api callback: add-instrumental-callbacks": succeeded(
        "2fac****9f72",
        ResultItem(
            "https://example.cn/****.mp3",
            title="Iron Man",
            duration=timedelta(seconds=198.44),
            cover_url="https://example.cn/****.jpeg",
        ),
        word="complete",
        item_ids=("e231****-****-****-****-****8cadc7dc",),
    ),
    "34 suno-api callback: convert-to-wav-callbacks": failed(
        "988e****c8d3", "500", "Internal Error - Please try again later"
    ),
    "35 suno-api callback: generate-lyrics-callbacks": succeeded(
        "3b66882fde0a5d398bd269cab6d9542b", word="complete", text=LYRICS
    ),
    "36 suno-api callback: separate-vocals-callbacks": failed(
        "3e63b4cc88d52611159371f6af5571e7", "500", "Vocal separation failed"
    ),
    "37 veo3-api callback: generate-veo-3-video-callbacks": succeeded(
        "veo_task_abcdef123456", "http://example.com/video1.mp4", word=None
    ),
    "38 veo3-api callback: generate-veo-3-video-callbacks": succeeded(
        "veo_task_abcdef123456", "http://example.com/video1.mp4", word=None
    ),
}


def read(example: dict[str, Any]) -> Observation:
    if example["kind"].startswith("recordInfo"):
        return read_record(example["body"])
    return read_body(json.dumps(example["body"]).encode())


def test_every_body_about_a_task_is_expected() -> None:
    assert set(EXPECTED) == ABOUT_A_TASK


@pytest.mark.parametrize("name", EXPECTED)
def test_known_body_is_read_as_it_should_be(name: str) -> None:
    assert read(EXAMPLES[name]) == EXPECTED[name]
