"""What people choose models for, and the groups in which they are offered it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from atelier.generation.v1 import model_pb2 as pb
from edge_bot.view.language import Texts


class Purpose(IntEnum):
    """The purposes, numbered as in the contract."""

    OTHER = 0
    TEXT_TO_IMAGE = 1
    REFERENCE_TO_IMAGE = 2
    IMAGE_TO_IMAGE = 3
    IMAGE_EDIT = 4
    IMAGE_UPSCALE = 5
    BACKGROUND_REMOVAL = 6
    IMAGE_LAYERS = 7
    IMAGE_ANALYSIS = 8
    TEXT_TO_VIDEO = 9
    IMAGE_TO_VIDEO = 10
    REFERENCE_TO_VIDEO = 11
    VIDEO_EDIT = 12
    VIDEO_EXTEND = 13
    VIDEO_UPSCALE = 14
    MOTION_CONTROL = 15
    LIP_SYNC = 16
    TEXT_TO_SPEECH = 17
    SPEECH_TO_TEXT = 18
    SOUND_EFFECTS = 19
    TEXT_TO_MUSIC = 20
    MUSIC_EDIT = 21
    MUSIC_EXTEND = 22
    MUSIC_VIDEO = 23
    MUSIC_COVER = 24
    LYRICS = 25
    PROMPT_HELP = 26
    AUDIO_SEPARATION = 27
    AUDIO_ISOLATION = 28
    AUDIO_CONVERSION = 29
    AUDIO_TO_MIDI = 30
    VOICE = 31
    CHARACTER = 32


PURPOSE_OF_KIND: Mapping[int, Purpose] = {
    pb.MODEL_KIND_TEXT_TO_IMAGE: Purpose.TEXT_TO_IMAGE,
    pb.MODEL_KIND_IMAGE_TO_IMAGE: Purpose.IMAGE_TO_IMAGE,
    pb.MODEL_KIND_EDIT: Purpose.IMAGE_EDIT,
    pb.MODEL_KIND_TEXT_TO_VIDEO: Purpose.TEXT_TO_VIDEO,
    pb.MODEL_KIND_IMAGE_TO_VIDEO: Purpose.IMAGE_TO_VIDEO,
    pb.MODEL_KIND_VIDEO_TO_VIDEO: Purpose.VIDEO_EDIT,
    pb.MODEL_KIND_TEXT_TO_AUDIO: Purpose.TEXT_TO_MUSIC,
    pb.MODEL_KIND_AUDIO_TO_AUDIO: Purpose.MUSIC_EDIT,
    pb.MODEL_KIND_MEDIA_TO_TEXT: Purpose.IMAGE_ANALYSIS,
    pb.MODEL_KIND_TEXT_TO_TEXT: Purpose.LYRICS,
}
"""The purpose that comes nearest to each kind."""


@dataclass(frozen=True, slots=True)
class PurposeGroup:
    """Purposes that are offered behind one button."""

    purposes: tuple[Purpose, ...]


GROUPS: tuple[PurposeGroup, ...] = (
    PurposeGroup((Purpose.TEXT_TO_IMAGE, Purpose.REFERENCE_TO_IMAGE)),
    PurposeGroup(
        (
            Purpose.IMAGE_EDIT,
            Purpose.IMAGE_TO_IMAGE,
            Purpose.IMAGE_UPSCALE,
            Purpose.BACKGROUND_REMOVAL,
            Purpose.IMAGE_LAYERS,
        )
    ),
    PurposeGroup((Purpose.TEXT_TO_VIDEO, Purpose.REFERENCE_TO_VIDEO)),
    PurposeGroup((Purpose.IMAGE_TO_VIDEO, Purpose.LIP_SYNC, Purpose.MOTION_CONTROL)),
    PurposeGroup((Purpose.VIDEO_EDIT, Purpose.VIDEO_EXTEND, Purpose.VIDEO_UPSCALE)),
    PurposeGroup(
        (
            Purpose.TEXT_TO_MUSIC,
            Purpose.MUSIC_EDIT,
            Purpose.MUSIC_EXTEND,
            Purpose.LYRICS,
            Purpose.MUSIC_VIDEO,
            Purpose.MUSIC_COVER,
        )
    ),
    PurposeGroup(
        (
            Purpose.TEXT_TO_SPEECH,
            Purpose.SOUND_EFFECTS,
            Purpose.VOICE,
            Purpose.AUDIO_SEPARATION,
            Purpose.AUDIO_ISOLATION,
            Purpose.AUDIO_CONVERSION,
            Purpose.AUDIO_TO_MIDI,
        )
    ),
    PurposeGroup(
        (
            Purpose.IMAGE_ANALYSIS,
            Purpose.SPEECH_TO_TEXT,
            Purpose.PROMPT_HELP,
            Purpose.CHARACTER,
            Purpose.OTHER,
        )
    ),
)
"""The groups in the order of the first screen; every purpose is in one of them."""


def group_of(purpose: Purpose) -> int:
    """Return the place of a purpose's group on the first screen."""
    return next(index for index, each in enumerate(GROUPS) if purpose in each.purposes)


def group_label(speak: Texts, index: int) -> str:
    """Return what a button of the first screen says."""
    return (
        speak.plain("🎨 Create a picture"),
        speak.plain("🪄 Change a picture"),
        speak.plain("🎬 Make a video"),
        speak.plain("🎞 Animate a picture"),
        speak.plain("✂️ Change a video"),
        speak.plain("🎵 Music"),
        speak.plain("🗣 Speech and sound"),
        speak.plain("🔎 Texts and more"),
    )[index]


def purpose_label(speak: Texts, purpose: Purpose) -> str:
    """Return what a purpose is called on a button."""
    seen = _picture_label(speak, purpose) or _video_label(speak, purpose)
    moving = seen or _figure_label(speak, purpose)
    heard = moving or _song_label(speak, purpose) or _sound_label(speak, purpose)
    return heard or _other_label(speak, purpose)


def _picture_label(speak: Texts, purpose: Purpose) -> str:
    match purpose:
        case Purpose.TEXT_TO_IMAGE:
            return speak.plain("🎨 Picture from words")
        case Purpose.REFERENCE_TO_IMAGE:
            return speak.plain("🧍 Picture from samples")
        case Purpose.IMAGE_TO_IMAGE:
            return speak.plain("🖌 Redraw a picture")
        case Purpose.IMAGE_EDIT:
            return speak.plain("🪄 Edit a picture")
        case Purpose.IMAGE_UPSCALE:
            return speak.plain("🔍 Enlarge a picture")
        case Purpose.BACKGROUND_REMOVAL:
            return speak.plain("✂️ Remove the background")
        case Purpose.IMAGE_LAYERS:
            return speak.plain("🗂 Take a picture apart")
        case _:
            return ""


def _video_label(speak: Texts, purpose: Purpose) -> str:
    match purpose:
        case Purpose.TEXT_TO_VIDEO:
            return speak.plain("🎬 Video from words")
        case Purpose.IMAGE_TO_VIDEO:
            return speak.plain("🎞 Bring a picture to life")
        case Purpose.REFERENCE_TO_VIDEO:
            return speak.plain("🧍 Video from samples")
        case Purpose.VIDEO_EDIT:
            return speak.plain("✂️ Edit a video")
        case Purpose.VIDEO_EXTEND:
            return speak.plain("⏩ Continue a video")
        case Purpose.VIDEO_UPSCALE:
            return speak.plain("🔍 Sharpen a video")
        case _:
            return ""


def _figure_label(speak: Texts, purpose: Purpose) -> str:
    match purpose:
        case Purpose.MOTION_CONTROL:
            return speak.plain("🕺 Copy a movement")
        case Purpose.LIP_SYNC:
            return speak.plain("👄 Make a face speak")
        case Purpose.MUSIC_VIDEO:
            return speak.plain("📺 Video for a song")
        case _:
            return ""


def _sound_label(speak: Texts, purpose: Purpose) -> str:
    match purpose:
        case Purpose.TEXT_TO_SPEECH:
            return speak.plain("🗣 Speech from text")
        case Purpose.AUDIO_ISOLATION:
            return speak.plain("🎙 Clean up a recording")
        case Purpose.SOUND_EFFECTS:
            return speak.plain("🔊 Sound effects")
        case Purpose.VOICE:
            return speak.plain("👤 My own voice")
        case _:
            return ""


def _song_label(speak: Texts, purpose: Purpose) -> str:
    match purpose:
        case Purpose.TEXT_TO_MUSIC:
            return speak.plain("🎵 Write a song")
        case Purpose.MUSIC_EDIT:
            return speak.plain("🎚 Rework a song")
        case Purpose.MUSIC_EXTEND:
            return speak.plain("⏩ Continue a song")
        case Purpose.MUSIC_COVER:
            return speak.plain("💿 Cover for a song")
        case Purpose.AUDIO_SEPARATION:
            return speak.plain("🎛 Split a song into tracks")
        case Purpose.AUDIO_CONVERSION:
            return speak.plain("💾 Song as a WAV file")
        case Purpose.AUDIO_TO_MIDI:
            return speak.plain("🎹 Notes of a song")
        case _:
            return ""


def _other_label(speak: Texts, purpose: Purpose) -> str:
    match purpose:
        case Purpose.IMAGE_ANALYSIS:
            return speak.plain("🔎 Analyse a picture")
        case Purpose.SPEECH_TO_TEXT:
            return speak.plain("📝 Speech to text")
        case Purpose.LYRICS:
            return speak.plain("✍️ Lyrics")
        case Purpose.PROMPT_HELP:
            return speak.plain("💡 Improve a description")
        case Purpose.CHARACTER:
            return speak.plain("🧑‍🎨 A character of my own")
        case _:
            return speak.plain("✨ Something else")
