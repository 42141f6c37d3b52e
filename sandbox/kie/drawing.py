"""Making the pictures of every model that makes pictures."""

from PIL import Image

from sandbox.kie.commission import Commission
from sandbox.kie.made import Made, Result, files, picture_file
from sandbox.kie.measure import PICTURE_SIDES, size_for
from sandbox.kie.picture import opened, paint
from sandbox.kie.price import DECIDED
from sandbox.kie.retouch import composed, cut_out, enlarged, layers

USUAL = (1, 1)
STRENGTH = 0.8
CROPS_OF = {"grok-imagine/text-to-image": 6, "grok-imagine/image-to-image": 2}
"""How many pictures models make that are not asked for a number (kie-models.json, observed)."""
_FORMATS = {"jpg": "jpeg", "jpeg": "jpeg", "webp": "webp"}


def drawn(asked: Commission) -> Result:
    """Return the pictures that a task asked for."""
    match asked.entry.purpose:
        case "background-removal":
            return files(picture_file(cut_out(_source(asked)), "png"))
        case "image-upscale":
            factor = asked.count("upscale_factor") if "upscale_factor" in asked.fields else 2
            return files(_file(enlarged(_source(asked), factor=factor), asked))
        case "image-layers":
            ground, *over = layers(_source(asked), count=DECIDED)
            return files(_file(ground, asked), *(picture_file(each, "png") for each in over))
        case _:
            return files(*(_picture(asked, seed=asked.seed + at) for at in range(_count(asked))))


def _source(asked: Commission) -> Image.Image:
    return opened(asked.of_kind("image")[0].content)


def _count(asked: Commission) -> int:
    usual = CROPS_OF.get(asked.entry.model, 1)
    return max(usual, asked.count("num_images", "max_images", "n"))


def _picture(asked: Commission, *, seed: int) -> Made:
    sources = [each.content for each in asked.of_kind("image")]
    size = size_for(asked.fields, sides=PICTURE_SIDES, like=asked.like, usual=USUAL)
    if sources:
        strength = float(asked.fields.get("strength", STRENGTH))
        picture = composed(sources, asked.words, size=size, strength=strength, seed=seed)
    else:
        picture = paint(asked.words, size=size, seed=seed)
    return _file(picture, asked)


def _file(picture: Image.Image, asked: Commission) -> Made:
    if asked.text("background") == "transparent":
        return picture_file(cut_out(picture), "png")
    return picture_file(picture, _FORMATS.get(asked.text("output_format"), "png"))
