"""What people choose models for."""

from collections.abc import Mapping
from enum import StrEnum


class Kind(StrEnum):
    """The kinds of models, by what they turn into what, as the first contract names them."""

    TEXT_TO_IMAGE = "text-to-image"
    IMAGE_TO_IMAGE = "image-to-image"
    EDIT = "edit"
    TEXT_TO_VIDEO = "text-to-video"
    IMAGE_TO_VIDEO = "image-to-video"
    VIDEO_TO_VIDEO = "video-to-video"
    TEXT_TO_AUDIO = "text-to-audio"
    AUDIO_TO_AUDIO = "audio-to-audio"
    MEDIA_TO_TEXT = "media-to-text"
    TEXT_TO_TEXT = "text-to-text"


class Purpose(StrEnum):
    """What a model is chosen for."""

    TEXT_TO_IMAGE = "text-to-image"
    REFERENCE_TO_IMAGE = "reference-to-image"
    IMAGE_TO_IMAGE = "image-to-image"
    IMAGE_EDIT = "image-edit"
    IMAGE_UPSCALE = "image-upscale"
    BACKGROUND_REMOVAL = "background-removal"
    IMAGE_LAYERS = "image-layers"
    IMAGE_ANALYSIS = "image-analysis"
    TEXT_TO_VIDEO = "text-to-video"
    IMAGE_TO_VIDEO = "image-to-video"
    REFERENCE_TO_VIDEO = "reference-to-video"
    VIDEO_EDIT = "video-edit"
    VIDEO_EXTEND = "video-extend"
    VIDEO_UPSCALE = "video-upscale"
    MOTION_CONTROL = "motion-control"
    LIP_SYNC = "lip-sync"
    TEXT_TO_SPEECH = "text-to-speech"
    SPEECH_TO_TEXT = "speech-to-text"
    SOUND_EFFECTS = "sound-effects"
    TEXT_TO_MUSIC = "text-to-music"
    MUSIC_EDIT = "music-edit"
    MUSIC_EXTEND = "music-extend"
    MUSIC_VIDEO = "music-video"
    MUSIC_COVER = "music-cover"
    LYRICS = "lyrics"
    PROMPT_HELP = "prompt-help"
    AUDIO_SEPARATION = "audio-separation"
    AUDIO_ISOLATION = "audio-isolation"
    AUDIO_CONVERSION = "audio-conversion"
    AUDIO_TO_MIDI = "audio-to-midi"
    VOICE = "voice"
    CHARACTER = "character"


_KINDS: Mapping[Kind, str] = {
    Kind.TEXT_TO_IMAGE: "text-to-image",
    Kind.IMAGE_TO_IMAGE: "image-to-image reference-to-image music-cover",
    Kind.EDIT: "image-edit image-upscale background-removal image-layers",
    Kind.TEXT_TO_VIDEO: "text-to-video",
    Kind.IMAGE_TO_VIDEO: "image-to-video reference-to-video lip-sync",
    Kind.VIDEO_TO_VIDEO: "video-edit video-extend video-upscale motion-control music-video",
    Kind.TEXT_TO_AUDIO: "text-to-speech sound-effects text-to-music",
    Kind.AUDIO_TO_AUDIO: (
        "music-edit music-extend audio-separation audio-isolation audio-conversion"
    ),
    Kind.MEDIA_TO_TEXT: "image-analysis speech-to-text audio-to-midi voice character",
    Kind.TEXT_TO_TEXT: "lyrics prompt-help",
}
_KIND_OF = {Purpose(name): kind for kind, names in _KINDS.items() for name in names.split()}


def kind_of_purpose(purpose: Purpose) -> Kind:
    """Return the kind that comes nearest to a purpose."""
    return _KIND_OF[purpose]
