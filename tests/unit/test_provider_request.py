"""What leaves for the provider, for models of different shapes, against expectations by hand."""

from typing import Any

import pytest

from generation_svc.catalog import load_catalog, validate_inputs
from generation_svc.domain.media_input import given_in
from generation_svc.domain.provider_input import provider_input

CATALOG = load_catalog(has_unpaid=True)
ID = "0198c5a0-7c3e-7a41-9f3b-2d1c6b5e4f00"
MEDIA, JOB = f"media:{ID}", f"job:{ID}"
A, B = "https://kie.example/a", "https://kie.example/b"


@pytest.mark.parametrize(
    ("model_id", "inputs", "sent"),
    [
        pytest.param(
            "z-image",
            {"prompt": "a fox"},
            {"prompt": "a fox", "aspect_ratio": "1:1", "nsfw_checker": True},
            id="a-default-that-kie-needs-and-a-strict-checker",
        ),
        pytest.param(
            "google/nano-banana-edit",
            {"prompt": "at night", "images": [MEDIA, A], "output_format": "jpeg"},
            {"prompt": "at night", "image_urls": [B, A], "output_format": "jpeg"},
            id="several-pictures-in-order",
        ),
        pytest.param(
            "nano-banana-2",
            {"prompt": "both", "images": [A], "resolution": "2K"},
            {"prompt": "both", "image_input": [A], "resolution": "2K"},
            id="image-input",
        ),
        pytest.param(
            "flux-2/pro-image-to-image",
            {"prompt": "both", "images": [A]},
            {
                "prompt": "both",
                "input_urls": [A],
                "aspect_ratio": "1:1",
                "resolution": "1K",
                "nsfw_checker": True,
            },
            id="two-defaults-and-the-strict-checker",
        ),
        pytest.param(
            "ideogram/character-edit",
            {"prompt": "a hat", "image": A, "mask": MEDIA, "reference_images": [A]},
            {"prompt": "a hat", "image_url": A, "mask_url": B, "reference_image_urls": [A]},
            id="a-mask",
        ),
        pytest.param(
            "kling/v2-1-pro",
            {"prompt": "run", "image": A, "last_frame": MEDIA, "duration": "10"},
            {"prompt": "run", "image_url": A, "tail_image_url": B, "duration": "10"},
            id="a-tail-image-and-a-length-as-text",
        ),
        pytest.param(
            "pixverse-v6/transition",
            {"prompt": "melt", "first_frame": A, "last_frame": A},
            {
                "prompt": "melt",
                "first_frame_image_url": A,
                "last_frame_image_url": A,
                "quality": "720p",
                "duration": 5,
            },
            id="first-and-last-frame",
        ),
        pytest.param(
            "kling-3.0/video",
            {
                "multi_shots": True,
                "multi_prompt": [{"prompt": "@anna walks", "duration": 3}],
                "elements": [{"name": "anna", "description": "a girl", "images": [MEDIA, A]}],
            },
            {
                "multi_prompt": [{"prompt": "@anna walks", "duration": 3}],
                "kling_elements": [
                    {"name": "anna", "description": "a girl", "element_input_urls": [B, A]}
                ],
                "sound": False,
                "duration": "5",
                "aspect_ratio": "16:9",
                "mode": "pro",
                "multi_shots": True,
            },
            id="lists-of-objects-with-media",
        ),
        pytest.param(
            "kling-3.0-omni/reference-to-video",
            {"prompt": "both", "images": [A], "sound": True, "videos": [MEDIA]},
            {"prompt": "both", "image_urls": [A], "audio": True, "video_urls": [B]},
            id="a-branch-and-sound-called-audio",
        ),
        pytest.param(
            "google/gemini-omni-flash-1-1",
            {
                "prompt": "go on",
                "duration": "4",
                "clips": [{"video": MEDIA, "start": 2, "ends": 8}],
            },
            {
                "prompt": "go on",
                "duration": "4",
                "video_list": [{"url": B, "start": 2, "ends": 8}],
            },
            id="pieces-of-video",
        ),
        pytest.param(
            "bytedance/seedance-2",
            {"prompt": "a ship", "duration": -1, "reference_videos": [A]},
            {
                "prompt": "a ship",
                "duration": -1,
                "reference_video_urls": [A],
                "nsfw_checker": True,
            },
            id="a-length-that-the-model-chooses",
        ),
        pytest.param(
            "ai-music-api/generate",
            {"custom_mode": True, "instrumental": False, "title": "Sea", "style": "folk"},
            {
                "custom_mode": True,
                "instrumental": False,
                "title": "Sea",
                "style": "folk",
                "model": "V6",
            },
            id="a-song",
        ),
        pytest.param(
            "ai-music-api/convert-to-wav-format",
            {"task": JOB, "song": f"{JOB}/2"},
            {"task_id": B, "audio_id": B},
            id="a-song-of-an-earlier-job",
        ),
        pytest.param(
            "veo/get-1080p-video",
            {"task": JOB, "index": "1"},
            {"taskId": B, "index": "1"},
            id="another-spelling-of-the-task",
        ),
        pytest.param(
            "grok-imagine-image-2-0/segment-edit",
            {"prompt": "red", "task": JOB, "segments": [1, 3]},
            {"prompt": "red", "task_id": B, "mask_indexs": [1, 3]},
            id="numbers-of-parts",
        ),
        pytest.param(
            "elevenlabs/text-to-dialogue-v3",
            {"dialogue": [{"text": "Hi", "voice": "EkK5I93UQWFDigLMpZcX"}], "stability": 1.0},
            {"dialogue": [{"text": "Hi", "voice": "EkK5I93UQWFDigLMpZcX"}], "stability": 1},
            id="lines-of-a-dialogue",
        ),
        pytest.param(
            "recraft/remove-background", {"image": MEDIA}, {"image": B}, id="a-picture-called-image"
        ),
        pytest.param(
            "wan/2-7-image-to-video",
            {"prompt": "on", "first_clip": MEDIA, "driving_audio": A},
            {
                "prompt": "on",
                "first_clip_url": B,
                "driving_audio_url": A,
                "watermark": False,
                "nsfw_checker": True,
            },
            id="a-clip-to-go-on-from",
        ),
    ],
)
def test_the_request_is_what_the_provider_documents(
    model_id: str, inputs: dict[str, Any], sent: dict[str, Any]
) -> None:
    model = CATALOG.models[model_id]
    valid = validate_inputs(model, inputs)
    places = [given for each in model.special_inputs for given in given_in(valid, each)]
    resolved = {given.steps: B for given in places if not given.is_link}

    assert provider_input(model, valid, resolved=resolved) == sent
    assert model.offer.model_id == model_id


def test_what_a_job_says_of_an_operator_s_field_is_kept() -> None:
    model = CATALOG.models["wan/2-7-text-to-video"]
    valid = validate_inputs(model, {"prompt": "sea", "nsfw_checker": False})

    sent = provider_input(model, valid, resolved={})

    assert sent == {"prompt": "sea", "nsfw_checker": False, "watermark": False}
