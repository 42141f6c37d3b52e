"""The beginnings of words by which people ask for a purpose, in the languages of the bot.

A word is meant by its beginning, so that its other forms are found too: `улучшить`, `улучши` and
`улучшение` begin with `улучш`. A short one is meant as it stands, since too much begins with it.
Each purpose has what it does and what it does it to.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edge_bot.view.purpose import Purpose

_PICTURE = "картин изображ фото снимок снимк рисунок рисунк picture image photo pics"
_VIDEO = "видео ролик фильм клип video clip film movie"
_SONG = "песн музык трек song music track"
_MAKE = "нарис рису созда сгенер генер draw paint generat creat"
_EDIT = "измен правк отредакт редакт обработ исправ edit chang modif fix retouch"
_UPSCALE = (
    "улучш увелич апскейл качеств резк чётк разрешен восстанов "
    "upscal enlarg enhanc improv quality sharp restor resol"
)
_ANIMATE = "оживи ожив анимир анимац двига animat alive life move motion"
_SPEAK = "говор заговор talk speak lip губы аватар avatar"
_VOICE = "озвуч голос речь речи произнес прочит диктор voice speech speak talk narrat read tts"
_CONTINUE = "продолж продли дальше continu extend longer"
_CLEAN = "очист шум убер убра удал улучш clean nois denois isolat remov improv"

SEARCH_WORDS: Mapping[Purpose, tuple[str, ...]] = MappingProxyType(
    {
        purpose: tuple(words.replace("ё", "е").split())
        for purpose, words in {
            Purpose.TEXT_TO_IMAGE: f"{_MAKE} {_PICTURE}",
            Purpose.REFERENCE_TO_IMAGE: f"{_MAKE} {_PICTURE} образц похож reference",
            Purpose.IMAGE_TO_IMAGE: f"{_EDIT} {_PICTURE} перерис стил redraw restyl style",
            Purpose.IMAGE_EDIT: f"{_EDIT} {_PICTURE} дорис замен добав replac",
            Purpose.IMAGE_UPSCALE: f"{_UPSCALE} {_PICTURE}",
            Purpose.BACKGROUND_REMOVAL: (
                f"{_PICTURE} фон убер убра удал выре стере прозрач "
                "background bg remov eras cutout transparen"
            ),
            Purpose.IMAGE_LAYERS: f"{_PICTURE} слои слоя разобр layer",
            Purpose.IMAGE_ANALYSIS: f"{_PICTURE} опиш описа распозна анализ descri analy recogni",
            Purpose.TEXT_TO_VIDEO: f"{_VIDEO} снять сними созда сгенер генер generat creat shoot",
            Purpose.REFERENCE_TO_VIDEO: f"{_VIDEO} созда сгенер generat creat образц reference",
            Purpose.IMAGE_TO_VIDEO: f"{_VIDEO} {_ANIMATE} {_PICTURE}",
            Purpose.VIDEO_EDIT: f"{_VIDEO} {_EDIT}",
            Purpose.VIDEO_EXTEND: f"{_VIDEO} {_CONTINUE}",
            Purpose.VIDEO_UPSCALE: f"{_VIDEO} {_UPSCALE}",
            Purpose.MOTION_CONTROL: f"{_VIDEO} {_ANIMATE} танец танц движен повтор danc copy",
            Purpose.LIP_SYNC: f"{_VIDEO} {_SPEAK} {_ANIMATE} озвуч dub sync лицо face",
            Purpose.TEXT_TO_SPEECH: f"{_VOICE} диалог текст dialog text",
            Purpose.SPEECH_TO_TEXT: "расшифр распозна транскри субтитр transcri subtitle caption",
            Purpose.SOUND_EFFECTS: "звук шум эффект озвуч sound noise effect sfx",
            Purpose.TEXT_TO_MUSIC: (
                f"{_SONG} сочин напис напиш спой споёт созда compos sing writ creat"
            ),
            Purpose.MUSIC_EDIT: f"{_SONG} {_EDIT} кавер перепе ремикс cover remix rework",
            Purpose.MUSIC_EXTEND: f"{_SONG} {_CONTINUE}",
            Purpose.MUSIC_VIDEO: f"{_SONG} {_VIDEO}",
            Purpose.MUSIC_COVER: f"{_SONG} обложк cover",
            Purpose.LYRICS: f"{_SONG} слова текст стих lyric words writ напис напиш сочин",
            Purpose.PROMPT_HELP: "улучш описани промпт стил improv prompt enhanc descri",
            Purpose.AUDIO_SEPARATION: f"{_SONG} раздел вокал минус дорожк split separat vocal stem",
            Purpose.AUDIO_ISOLATION: f"{_CLEAN} голос запис voice record",
            Purpose.AUDIO_CONVERSION: f"{_SONG} конверт convert",
            Purpose.AUDIO_TO_MIDI: f"{_SONG} ноты миди midi notes",
            Purpose.VOICE: "голос клонир свой voice clon",
            Purpose.CHARACTER: "персонаж герой геро character hero",
        }.items()
    }
)
"""What a purpose is asked for by."""

SHORT = 3
"""The length up to which a word is meant as it stands."""

FILLERS = frozenset(
    """
    a an the my me please i want to some with of
    make do give
    и с мне мой моё мою моя моего пожалуйста хочу надо нужно у на в
    сделай сделать дай
    """.replace("ё", "е").split()
)
"""Words that name nothing to look for."""
